//! Somebody else at the same pool, with curl: an administrator, or who stands in for a guest.

use std::process::Command;

use serde_json::{Value, json};
use shale_connector::Tag;

/// Somebody with a session of their own.
pub struct Administrator {
    url: String,
    session: String,
}

impl Administrator {
    /// Logs in where a connector with these settings does.
    pub fn of(settings: &Value) -> Self {
        let address = settings["address"].as_str().unwrap();
        let url = if address.contains("://") { address.to_owned() } else { format!("https://{address}") };
        let mut administrator = Self { url, session: String::new() };
        let session = administrator
            .ask("session.login_with_password", &[settings["user"].clone(), settings["password"].clone()]);
        administrator.session = session.as_str().unwrap().to_owned();
        administrator
    }

    /// Calls a method; the session is put before the parameters.
    pub fn call(&self, method: &str, params: &[Value]) -> Value {
        let all = [&[json!(self.session)], params].concat();
        self.ask(method, &all)
    }

    fn ask(&self, method: &str, params: &[Value]) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        // The certificate is not what is tested here.
        let url = format!("{}/jsonrpc", self.url);
        let ran = Command::new("curl").args(["-sSk", "-d", &body, &url]).output().unwrap();
        let answer: Value = serde_json::from_slice(&ran.stdout).unwrap();
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }
}

/// Writes into the packaging disk of a tag, as its guest would.
pub fn write(settings: &Value, tag: &Tag, offset: u64, bytes: &[u8]) {
    let administrator = Administrator::of(settings);
    let all = administrator.call("VDI.get_all_records", &[]);
    let is_it =
        |vdi: &Value| vdi["other_config"]["shale:tag"] == tag.as_str() && vdi["is_a_snapshot"] == false;
    let (vdi, _) = all.as_object().unwrap().iter().find(|(_, vdi)| is_it(vdi)).unwrap();
    let mut body = offset.to_le_bytes().to_vec();
    body.extend((bytes.len() as u32).to_le_bytes());
    body.extend(bytes);
    body.extend([0; 12]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), body).unwrap();
    let task = administrator.call("task.create", &[json!("a guest writes"), json!("")]);
    let target = |text: &str| text.replace(':', "%3A");
    let (session, vdi, name) = (target(&administrator.session), target(vdi), target(task.as_str().unwrap()));
    let url = format!(
        "{}/import_raw_vdi?session_id={session}&vdi={vdi}&format=raw&chunked=true&task_id={name}",
        administrator.url
    );
    let ran = Command::new("curl").args(["-sSk", "-L", "-T"]).arg(file.path()).arg(url).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    loop {
        match administrator.call("task.get_status", std::slice::from_ref(&task)).as_str().unwrap() {
            "pending" => std::thread::sleep(std::time::Duration::from_millis(100)),
            status => break assert_eq!(status, "success"),
        }
    }
    administrator.call("task.destroy", &[task]);
    administrator.ask("session.logout", &[json!(administrator.session)]);
}
