//! From what people type to an object: an id, or an exact name. A name that several objects have is refused, and the
//! candidates are named; nothing is guessed.

use crate::client::Client;
use crate::failure::{Exit, Failure};
use shale_api::{Connector, Image, Layer, LayerKind, Machine, Template, Token, Upload, User, Version};
use uuid::Uuid;

/// A layer, by name or id.
pub fn layer(client: &Client, text: &str) -> Result<Layer, Failure> {
    if let Ok(id) = text.parse::<Uuid>() {
        return client.get(&format!("/layers/{id}"));
    }
    let mut layers: Vec<Layer> = client.list("/layers", &[("name", text)], None)?;
    layers.retain(|layer| layer.name == text);
    only(layers, "layer", text, client, |layer| format!("{} ({} layer)", layer.id, layer.kind.as_str()))
}

/// A version: `LAYER VERSION`, each by name or id, or the version's id alone.
#[derive(Clone, Debug, clap::Args)]
pub struct VersionRef {
    /// The layer's name or id, or the version's id alone
    #[arg(value_name = "LAYER|VERSION-ID")]
    first: String,
    /// The version's name or id
    #[arg(value_name = "VERSION")]
    second: Option<String>,
}

impl VersionRef {
    /// Finds it.
    pub fn find(&self, client: &Client) -> Result<Version, Failure> {
        match &self.second {
            Some(name) => version(client, &layer(client, &self.first)?, name),
            None => match self.first.parse::<Uuid>() {
                Ok(id) => client.get(&format!("/versions/{id}")),
                Err(_) => Err(Failure::usage(format!(
                    "'{}' is not a version's id: give the layer and the version, as in `LAYER VERSION`.",
                    self.first
                ))),
            },
        }
    }
}

/// A version of a layer, by name or id.
pub fn version(client: &Client, layer: &Layer, text: &str) -> Result<Version, Failure> {
    let id = text.parse::<Uuid>().ok();
    let mut versions: Vec<Version> = client.list(&format!("/layers/{}/versions", layer.id), &[], None)?;
    versions.retain(|version| version.name == text || Some(version.id) == id);
    let what = format!("version of layer '{}'", layer.name);
    only(versions, &what, text, client, |version| version.id.to_string())
}

/// A version of a layer of this kind: `LAYER` for its newest deployable one, `LAYER/VERSION`, or the version's id.
pub fn version_of(client: &Client, text: &str, kind: LayerKind) -> Result<Version, Failure> {
    if let Ok(id) = text.parse::<Uuid>() {
        return client.get(&format!("/versions/{id}"));
    }
    let query = [("kind", kind.as_str())];
    let layers: Vec<Layer> = client.list("/layers", &query, None)?;
    if let Some(layer) = layers.iter().find(|layer| layer.name == text) {
        let Some(newest) = layer.newest_deployable else {
            return Err(Failure::usage(format!("The layer '{text}' has no deployable version.")));
        };
        return client.get(&format!("/versions/{newest}"));
    }
    let named = |(name, rest): (&str, &str)| {
        layers
            .iter()
            .find(|layer| layer.name == name.trim_end())
            .map(|layer| (layer, rest.trim_start().to_owned()))
    };
    // A name may have slashes of its own.
    let splits = text.match_indices('/').map(|(at, _)| (&text[..at], &text[at + 1..]));
    match splits.rev().find_map(named) {
        Some((layer, name)) => version(client, layer, &name),
        None => {
            only(Vec::<Layer>::new(), &format!("layer of the kind {kind}"), text, client, |_| String::new())
                .and_then(|layer| version(client, &layer, ""))
        }
    }
}

/// The ids of versions of app layers.
pub fn apps(client: &Client, texts: &[String]) -> Result<Vec<Uuid>, Failure> {
    texts.iter().map(|text| version_of(client, text, LayerKind::App).map(|app| app.id)).collect()
}

/// The id of a version of a layer of this kind, if one is wanted.
pub fn wanted(client: &Client, text: Option<&str>, kind: LayerKind) -> Result<Option<Uuid>, Failure> {
    text.map(|text| version_of(client, text, kind).map(|version| version.id)).transpose()
}

/// A machine: its name or id, or `LAYER VERSION` of the version that is made in it.
#[derive(Clone, Debug, clap::Args)]
pub struct MachineRef {
    /// The machine's name or id, or the layer whose version is made in it
    #[arg(value_name = "MACHINE|LAYER")]
    first: String,
    /// The version's name, after a layer
    #[arg(value_name = "VERSION")]
    second: Option<String>,
}

impl MachineRef {
    /// Finds it.
    pub fn find(&self, client: &Client) -> Result<Machine, Failure> {
        let by_id = |id: Uuid| client.get(&format!("/machines/{id}"));
        if let Some(version_name) = &self.second {
            return by_id(version(client, &layer(client, &self.first)?, version_name)?.id);
        }
        if let Ok(id) = self.first.parse() {
            return by_id(id);
        }
        let mut machines: Vec<Machine> = client.list("/machines", &[], None)?;
        machines.retain(|machine| machine.name == self.first);
        only(machines, "machine", &self.first, client, |machine| machine.id.to_string())
    }
}

/// A connector configuration, by name or id.
pub fn connector(client: &Client, text: &str) -> Result<Connector, Failure> {
    if let Ok(id) = text.parse::<Uuid>() {
        return client.get(&format!("/connectors/{id}"));
    }
    let mut connectors: Vec<Connector> = client.list("/connectors", &[], None)?;
    connectors.retain(|connector| connector.name == text);
    only(connectors, "connector", text, client, |connector| connector.id.to_string())
}

/// An image template, by name or id.
pub fn template(client: &Client, text: &str) -> Result<Template, Failure> {
    if let Ok(id) = text.parse::<Uuid>() {
        return client.get(&format!("/templates/{id}"));
    }
    let templates: Vec<Template> = client.list("/templates", &[("name", text)], None)?;
    only(templates, "template", text, client, |template| template.id.to_string())
}

/// A layered image, by name or id.
pub fn image(client: &Client, text: &str) -> Result<Image, Failure> {
    if let Ok(id) = text.parse::<Uuid>() {
        return client.get(&format!("/images/{id}"));
    }
    let images: Vec<Image> = client.list("/images", &[("name", text)], None)?;
    only(images, "image", text, client, |image| image.id.to_string())
}

/// A user, by name in whatever case, or id.
pub fn user(client: &Client, text: &str) -> Result<User, Failure> {
    let mut users: Vec<User> = client.list("/users", &[], None)?;
    users.retain(|user| user.name.to_lowercase() == text.to_lowercase() || user.id.to_string() == text);
    only(users, "user", text, client, |user| user.id.to_string())
}

/// A token, by name or id.
pub fn token(client: &Client, text: &str) -> Result<Token, Failure> {
    let mut tokens: Vec<Token> = client.list("/tokens", &[], None)?;
    tokens.retain(|token| token.name == text || token.id.to_string() == text);
    only(tokens, "token", text, client, |token| token.id.to_string())
}

/// An upload, by name or id.
pub fn upload(client: &Client, text: &str) -> Result<Upload, Failure> {
    let mut uploads: Vec<Upload> = client.list("/uploads", &[], None)?;
    uploads.retain(|upload| upload.name == text || upload.id.to_string() == text);
    only(uploads, "upload", text, client, |upload| format!("{} ({} bytes)", upload.id, upload.size))
}

fn only<T>(
    mut found: Vec<T>,
    what: &str,
    text: &str,
    client: &Client,
    tell: impl Fn(&T) -> String,
) -> Result<T, Failure> {
    let noun = what.split(' ').next().unwrap_or(what);
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (None, _) => {
            let list = if noun == "version" { "version list LAYER".into() } else { format!("{noun} list") };
            Err(Failure::new(Exit::NotFound, format!("There is no {what} named '{text}'."))
                .hint(client.command(&list)))
        }
        (Some(last), false) => {
            found.push(last);
            let candidates: Vec<String> = found.iter().map(|item| format!("  {}", tell(item))).collect();
            let text =
                format!("'{text}' names more than one {noun}; use the id of one:\n{}", candidates.join("\n"));
            Err(Failure::usage(text))
        }
    }
}
