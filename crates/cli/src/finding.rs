//! What is outstanding in a packaging machine, as people read it: like Shutdown For Finalize tells it inside the machine.

use shale_api::{Finding, Severity};

/// All findings: what blocks first, each with what it was seen by and what to do.
pub fn told(findings: &[Finding]) -> String {
    let mut text = String::new();
    for (severity, title) in [
        (Severity::Blocks, "Finalizing is BLOCKED. The outstanding items are:"),
        (Severity::Warns, "Worth knowing:"),
    ] {
        let of = || findings.iter().filter(|finding| finding.severity == severity);
        if of().next().is_some() {
            text.push_str(&format!("{title}\n"));
        }
        for finding in of() {
            text.push_str(&format!("\n    {}\n", finding.message));
            finding.details.iter().for_each(|detail| text.push_str(&format!("      - {detail}\n")));
            text.push_str(&format!("      {}\n", finding.advice));
        }
        if of().next().is_some() {
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use shale_api::Remedy;

    fn finding(severity: Severity, message: &str) -> Finding {
        Finding {
            code: "x".into(),
            severity,
            remedy: Remedy::Act,
            message: message.into(),
            advice: "Mend it.".into(),
            details: vec!["nginx (half-configured)".into()],
        }
    }

    #[test]
    fn what_blocks_is_told_before_what_is_worth_knowing() {
        assert_eq!(told(&[]), "");
        let findings =
            [finding(Severity::Warns, "A disk is nearly full."), finding(Severity::Blocks, "Packages.")];
        assert_eq!(
            told(&findings),
            "Finalizing is BLOCKED. The outstanding items are:\n\n    Packages.\n      - nginx (half-configured)\n      \
             Mend it.\n\nWorth knowing:\n\n    A disk is nearly full.\n      - nginx (half-configured)\n      Mend it.\n\n"
        );
    }
}
