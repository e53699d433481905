//! What a pool answers when it says no, as a kind and a sentence. Codes: XenAPI's data model and recordings of a real
//! server; codes of storage: the storage managers' `XE_SR_ERRORCODES.xml`.

use std::fmt;

use crate::{Error, ErrorKind};

/// An error of the XenAPI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The call that it answers.
    pub method: String,
    /// `VDI_IN_USE`.
    pub code: String,
    /// What belongs to the code.
    pub params: Vec<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.method, self.code)?;
        self.params.iter().try_for_each(|param| write!(f, " | {}", without_secrets(param)))
    }
}

impl std::error::Error for Fault {}

/// References of sessions are as good as passwords while they last; wherever in a text they are.
fn without_secrets(text: &str) -> String {
    let (mut shown, mut rest) = (String::new(), text);
    let first = |text: &str| {
        let found =
            ["session_id=", "OpaqueRef:"].into_iter().filter_map(|word| Some((text.find(word)?, word)));
        found.min()
    };
    while let Some((at, word)) = first(rest) {
        shown += &rest[..at];
        shown += if word == "session_id=" { "session_id=(reference)" } else { "(reference)" };
        let value = &rest[at + word.len()..];
        let end = value.find(|c: char| !c.is_ascii_alphanumeric() && !"-:%_".contains(c));
        rest = &value[end.unwrap_or(value.len())..];
    }
    shown + rest
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let (kind, why) = explain(&fault);
        let why = without_secrets(&why);
        Self::new(kind, format!("the pool refused {}: {why}", fault.method)).with_source(fault)
    }
}

/// The pool's code for an error; empty when the error did not come from the pool.
pub(super) fn code(error: &Error) -> &str {
    fault(error).map_or("", |fault| &fault.code)
}

/// What the pool said, if the error came from there.
pub(super) fn fault(error: &Error) -> Option<&Fault> {
    std::error::Error::source(error)?.downcast_ref()
}

/// Whether something is not there any more.
pub(super) fn is_gone(error: &Error) -> bool {
    matches!(code(error), "HANDLE_INVALID" | "UUID_INVALID")
}

/// Whether something is in use at the moment, as a disk is for seconds after a transfer.
pub(super) fn is_in_use(error: &Error) -> bool {
    matches!(
        code(error),
        "VDI_IN_USE" | "OTHER_OPERATION_IN_PROGRESS" | "SR_BACKEND_FAILURE_24" | "SR_BACKEND_FAILURE_46"
    )
}

fn explain(fault: &Fault) -> (ErrorKind, String) {
    let param = |index: usize| fault.params.get(index).map(String::as_str).unwrap_or_default();
    let all = || fault.params.join(", ");
    match fault.code.as_str() {
        "SESSION_AUTHENTICATION_FAILED" => (
            ErrorKind::Unsupported,
            "user name or password are wrong; correct them in the connector's settings".into(),
        ),
        "RBAC_PERMISSION_DENIED" => {
            let what = format!("the user lacks the right '{}'; {}", param(0), role_hint(param(0)));
            (ErrorKind::Unsupported, what)
        }
        "SR_FULL" | "SR_BACKEND_FAILURE_44" | "VDI_NOT_ENOUGH_SPACE" => {
            (ErrorKind::Full, "the storage repository is full; make room there, or choose another".into())
        }
        "HANDLE_INVALID" | "UUID_INVALID" => {
            (ErrorKind::Absent, format!("there is no such {} any more", param(0)))
        }
        "VDI_IN_USE" | "OTHER_OPERATION_IN_PROGRESS" | "SR_BACKEND_FAILURE_24" | "SR_BACKEND_FAILURE_46" => {
            (ErrorKind::Busy, "it is in use at the moment; try again in a minute".into())
        }
        "VM_BAD_POWER_STATE" => {
            let (wanted, is) = (param(1).to_lowercase(), param(2).to_lowercase());
            (ErrorKind::Busy, format!("the machine must be {wanted} for it, and is {is}"))
        }
        "VM_LACKS_FEATURE" | "VM_LACKS_FEATURE_SHUTDOWN" | "VM_MISSING_PV_DRIVERS" => (
            ErrorKind::Unsupported,
            "the guest has no XenServer VM Tools that would hear it; shut it down from inside".into(),
        ),
        "NO_HOSTS_AVAILABLE" | "HOST_NOT_ENOUGH_FREE_MEMORY" => (
            ErrorKind::Full,
            "no host has room for the machine; free memory, or give the machine less".into(),
        ),
        "HOST_STILL_BOOTING" | "HOST_OFFLINE" | "CANNOT_CONTACT_HOST" | "HOST_DISABLED" => {
            (ErrorKind::Io, "a host is not ready; try again when it is".into())
        }
        "LICENCE_RESTRICTION" | "FEATURE_REQUIRES_HVM" => {
            (ErrorKind::Unsupported, format!("the pool's licence does not include it ({})", all()))
        }
        "SESSION_INVALID" => (ErrorKind::Io, "the session has ended; try again".into()),
        "TASK_CANCELLED" => (ErrorKind::Io, "it was cancelled on the pool".into()),
        "MESSAGE_METHOD_UNKNOWN" => {
            (ErrorKind::Unsupported, "this version of the pool does not know it".into())
        }
        "OPERATION_NOT_ALLOWED" | "VM_IS_TEMPLATE" | "VM_HVM_REQUIRED" | "VDI_INCOMPATIBLE_TYPE" => {
            (ErrorKind::Unsupported, format!("it is not allowed ({})", all()))
        }
        "MESSAGE_PARAMETER_COUNT_MISMATCH" | "FIELD_TYPE_ERROR" | "INVALID_VALUE" => {
            (ErrorKind::Unsupported, format!("it was not understood ({})", all()))
        }
        code => (ErrorKind::Io, format!("{code} ({})", all())),
    }
}

/// The least role that has a right, for people.
pub(super) fn role_hint(right: &str) -> &'static str {
    match right.to_ascii_lowercase().as_str() {
        "vm.set_memory_limits" | "sr.scan" => "give the user the role VM Power Admin, or more",
        "vm.start" | "vm.hard_shutdown" | "vm.clean_shutdown" => {
            "give the user the role VM Operator, or more"
        }
        _ => "give the user the role VM Admin, or more",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str, params: &[&str]) -> Error {
        let params = params.iter().map(|p| (*p).to_owned()).collect();
        Fault { method: "VDI.clone".into(), code: code.into(), params }.into()
    }

    /// All that an error says.
    fn error_text(code: &str, param: &str) -> String {
        let error = error(code, &[param]);
        format!("{error} {}", std::error::Error::source(&error).unwrap())
    }

    #[test]
    fn codes_become_kinds_that_a_caller_can_act_on() {
        let table = [
            ("SR_BACKEND_FAILURE_44", ErrorKind::Full),
            ("SR_FULL", ErrorKind::Full),
            ("HANDLE_INVALID", ErrorKind::Absent),
            ("VDI_IN_USE", ErrorKind::Busy),
            ("SESSION_AUTHENTICATION_FAILED", ErrorKind::Unsupported),
            ("RBAC_PERMISSION_DENIED", ErrorKind::Unsupported),
            ("SOMETHING_NEW", ErrorKind::Io),
        ];
        for (name, kind) in table {
            let error = error(name, &["VDI", "OpaqueRef:1"]);
            assert_eq!((error.kind(), code(&error)), (kind, name));
        }
    }

    #[test]
    fn a_missing_right_is_named_with_the_role_that_has_it() {
        let text = error("RBAC_PERMISSION_DENIED", &["VDI.clone", "no"]).to_string();
        assert!(text.contains("'VDI.clone'") && text.contains("VM Admin"), "{text}");
    }

    #[test]
    fn references_are_not_shown() {
        let error = error("SESSION_INVALID", &["OpaqueRef:0123"]);
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(!source.contains("0123"), "{source}");
        let inside = "Db(\"OpaqueRef:0a1b-2c\", OpaqueRef:0d) at /x?session_id=OpaqueRef%3A77aa&vdi=1";
        let text = error_text("INTERNAL_ERROR", inside);
        assert!(["0a1b", "0d)", "77aa"].iter().all(|secret| !text.contains(secret)), "{text}");
        assert!(text.contains("session_id=(reference)&vdi=1"), "{text}");
    }
}
