//! The seam between references and file formats: all that the rest of the crate knows of a format.
//!
//! A format is one file under `format/` that implements [`Syntax`], one row of the table below, and a
//! line in [`Format::detect`] if the names of its files tell it.

mod dotenv;
mod dotenv_docker;
mod dotenv_node;
mod dotenv_python;
mod genesys_ini;
mod ini;
mod ini_git;
mod ini_mysql;
mod ini_python;
mod json;
mod jsonc;
mod kubernetes;
mod lines;
mod properties;
mod shell;
mod systemd;
mod text;
mod toml;
mod xml;
mod yaml;

use std::ops::Range;

use zeroize::Zeroizing;

use crate::filter;
use crate::problem::{About, Pending, Rule};
use crate::secret::Draft;

pub(crate) use kubernetes::{Called, decoded as data_of};
pub(crate) use shell::is_special as is_special_to_shells;
pub(crate) use yaml::{Aliased, InSecret, aliased, in_secrets};

macro_rules! formats {
    ($($(#[$doc:meta])* $format:ident = $name:literal, $syntax:expr;)*) => {
        /// A file format that references are resolved in. Where the readers of a format disagree, each
        /// dialect is a format of its own.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        pub enum Format {
            $($(#[$doc])* $format,)*
        }

        impl Format {
            /// All formats, by name.
            pub const ALL: &[Self] = &[$(Self::$format,)*];

            /// The name by which a format is asked for.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$format => $name,)*
                }
            }

            pub(crate) fn syntax(self) -> &'static dyn Syntax {
                match self {
                    $(Self::$format => &$syntax,)*
                }
            }
        }
    };
}

formats! {
    /// `KEY=value` lines that bash, systemd, Docker and the dotenv libraries read.
    Dotenv = "dotenv", dotenv::Dotenv;
    /// What `docker run --env-file` reads.
    DotenvDocker = "dotenv-docker", dotenv_docker::DotenvDocker;
    /// What node's `--env-file` and npm's dotenv read.
    DotenvNode = "dotenv-node", dotenv_node::DotenvNode;
    /// What Python's dotenv reads.
    DotenvPython = "dotenv-python", dotenv_python::DotenvPython;
    /// Sections and options as Genesys Configuration Manager exports them.
    GenesysIni = "genesys-ini", genesys_ini::GenesysIni;
    /// An application with its options in the XML that Genesys imports.
    GenesysXml = "genesys-xml", xml::Xml(xml::Names::Genesys);
    /// Sections and options as Python's configparser, git, systemd and MySQL read them alike.
    Ini = "ini", ini::Ini;
    /// git's configuration files.
    IniGit = "ini-git", ini_git::IniGit;
    /// Option files of MySQL and MariaDB.
    IniMysql = "ini-mysql", ini_mysql::IniMysql;
    /// What Python's `ConfigParser` reads, with its default interpolation.
    IniPython = "ini-python", ini_python::IniPython { interpolates: true };
    /// What Python's `RawConfigParser` reads, or one without interpolation.
    IniPythonRaw = "ini-python-raw", ini_python::IniPython { interpolates: false };
    /// JSON, strict.
    Json = "json", json::Json;
    /// JSON with comments and trailing commas.
    Jsonc = "jsonc", jsonc::Jsonc;
    /// What `java.util.Properties` reads.
    Properties = "properties", properties::Properties;
    /// Assignments as a shell reads them with `.`.
    Shell = "shell", shell::Shell;
    /// Unit files of systemd and their drop-ins.
    Systemd = "systemd", systemd::Systemd;
    /// Any text. References stand in braces only, and nothing is escaped.
    Text = "text", text::PlainText;
    /// TOML 1.0 and 1.1.
    Toml = "toml", toml::Toml;
    /// Any XML 1.0 document.
    Xml = "xml", xml::Xml(xml::Names::Elements);
    /// YAML 1.1 and 1.2, several documents included.
    Yaml = "yaml", yaml::Yaml;
}

impl Format {
    /// The format of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|format| format.name() == name)
    }

    /// The format of a file by its name and content, or `None` if nothing claims it.
    ///
    /// `.conf`, `.cfg` and plain text are claimed by no format: the first two mean too many things,
    /// the last has to be asked for. What holds a `pop-client*` or `smtp-client*` section is
    /// Genesys', whatever its name, unless that is one of Markdown. What no name tells is XML if it begins
    /// with `<?xml` or `<configuration`.
    #[must_use]
    pub fn detect(name: &str, src: &[u8]) -> Option<Self> {
        let file = name.rsplit(['/', '\\']).next().unwrap_or(name).to_ascii_lowercase();
        let (stem, extension) = file.rsplit_once('.').unwrap_or((&file, ""));
        match extension {
            "json" => Some(Self::Json),
            "jsonc" => Some(Self::Jsonc),
            "properties" => Some(Self::Properties),
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            // `.env`, `prod.env`
            "env" => Some(Self::Dotenv),
            // `.env.production`
            _ if stem == ".env" || file.starts_with(".env.") => Some(Self::Dotenv),
            // A page may quote such a section.
            "md" | "markdown" => None,
            _ if xml::is_genesys(src) => Some(Self::GenesysXml),
            _ if genesys_ini::claims(src) => Some(Self::GenesysIni),
            _ if systemd::is_unit(name) => Some(Self::Systemd),
            "gitconfig" => Some(Self::IniGit),
            "ini" => Some(Self::Ini),
            "sh" => Some(Self::Shell),
            "xml" => Some(Self::Xml),
            // `my.cnf`, `.my.cnf`
            "cnf" if matches!(stem, "my" | ".my") => Some(Self::IniMysql),
            // .NET's and Apple's; pages are XML in part, too, and have no settings.
            "config" | "csproj" | "fsproj" | "nuspec" | "plist" | "props" | "pubxml"
            | "targets" | "vbproj"
                if xml::claims(src) =>
            {
                Some(Self::Xml)
            }
            _ => None,
        }
    }

    /// Writes `content` in the place of the scalar at `span`; in base64 if it is `encoded`.
    pub(crate) fn place(
        self,
        src: &[u8],
        span: Range<usize>,
        content: &Content<'_>,
        encoded: bool,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        if !encoded {
            return self.syntax().encode(src, span, content, out);
        }
        let text = filter::base64(content.joined().bytes());
        let content = Content { parts: &[Part::Value(text.bytes())], typed: false };
        self.syntax().encode(src, span, &content, out)
    }

    /// Whether values of `src` may stand in base64 that their reader decodes.
    pub(crate) fn may_encode(self, src: &[u8]) -> bool {
        matches!(self, Self::Json | Self::Jsonc | Self::Yaml) && kubernetes::may_hold_secret(src)
    }

    /// Whether the fill rule of Genesys configurations applies.
    #[must_use]
    pub fn is_genesys(self) -> bool {
        matches!(self, Self::GenesysIni | Self::GenesysXml)
    }
}

/// What a format has to know: where its scalars are, and how a text is written in the place of one.
pub(crate) trait Syntax {
    /// Hands every scalar of `src` to `found`, in a fixed order; the same file always gives the same
    /// scalars.
    fn scan(&self, src: &[u8], found: &mut dyn FnMut(Scalar)) -> Result<(), Malformed>;

    /// Writes `content` in the place of the scalar at `span`, keeping its style, so that it decodes
    /// to exactly the content; or says why that cannot be.
    fn encode(
        &self,
        src: &[u8],
        span: Range<usize>,
        content: &Content<'_>,
        out: &mut Output,
    ) -> Result<(), Refusal>;

    /// Whether escapes in `src` could hide a reference from a search for its plain letters.
    fn may_hide(&self, _src: &[u8]) -> bool {
        false
    }

    /// Whether a scalar that is one reference and nothing else is resolved without braces.
    fn resolves_bare(&self) -> bool {
        true
    }
}

/// One scalar of a file.
pub(crate) struct Scalar {
    /// The whole token as written, quotes included.
    pub(crate) span: Range<usize>,
    pub(crate) text: Text,
    pub(crate) role: Role,
    /// How many sections, lists and mappings are open around it.
    pub(crate) depth: usize,
    /// What the Secret of Kubernetes is called in whose data it stands, if it says so.
    pub(crate) owner: Option<Called>,
}

impl Scalar {
    /// Whether it is a value, and so can be replaced.
    pub(crate) fn is_value(&self) -> bool {
        !matches!(self.role, Role::Key | Role::Section | Role::Set)
    }

    /// Whether it stands where every value is a secret.
    pub(crate) fn is_in_secret(&self) -> bool {
        matches!(self.role, Role::EncodedSecret | Role::Secret)
    }

    /// Whether its reader takes it for base64.
    pub(crate) fn is_encoded(&self) -> bool {
        matches!(self.role, Role::Encoded | Role::EncodedSecret)
    }

    /// What its reader takes out of base64, if it is encoded.
    pub(crate) fn data(&self, src: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let may_decode = self.is_encoded() && !matches!(self.text, Text::Opaque);
        may_decode.then(|| kubernetes::decoded(self.text.bytes(src)))?
    }
}

/// What a scalar decodes to.
pub(crate) enum Text {
    /// Something else than these bytes of the file. It may hold secrets.
    Decoded(Zeroizing<Vec<u8>>),
    /// Readers disagree on it, or it is broken: no reference can stand in it.
    Opaque,
    /// Just these bytes of the file.
    Verbatim(Range<usize>),
}

impl Text {
    /// The decoded bytes; of what cannot be decoded, none.
    pub(crate) fn bytes<'a>(&'a self, src: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Decoded(bytes) => bytes,
            Self::Opaque => &[],
            Self::Verbatim(range) => &src[range.clone()],
        }
    }
}

/// What a scalar is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// A value that its reader takes for base64 and decodes.
    Encoded,
    /// The same where every value is a secret, whatever its name.
    EncodedSecret,
    /// The name of the value that follows it.
    Key,
    /// A value where every value is a secret, whatever its name.
    Secret,
    /// The name of a section.
    Section,
    /// No text at all: a new set of sections begins here.
    Set,
    /// A value. Values, of whatever sort, are the only things that can be replaced.
    Value,
}

/// What comes in the place of a scalar.
pub(crate) struct Content<'a> {
    pub(crate) parts: &'a [Part<'a>],
    /// Whether it is a number or truth value, to be written as such.
    pub(crate) typed: bool,
}

/// A piece of the content.
#[derive(Clone, Copy)]
pub(crate) enum Part<'a> {
    /// Text of the template, decoded.
    Plain(&'a [u8]),
    /// A value.
    Value(&'a [u8]),
}

impl<'a> Content<'a> {
    /// Whether `text` is just this content.
    pub(crate) fn is(&self, mut text: &[u8]) -> bool {
        self.parts.iter().all(|part| match text.strip_prefix(part.bytes()) {
            Some(rest) => {
                text = rest;
                true
            }
            None => false,
        }) && text.is_empty()
    }

    /// The whole content in one piece.
    pub(crate) fn joined(&self) -> Draft {
        let mut draft =
            Draft::with_capacity(self.parts.iter().map(|part| part.bytes().len()).sum());
        for part in self.parts {
            draft.push(part.bytes());
        }
        draft
    }
}

impl<'a> Part<'a> {
    pub(crate) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Plain(bytes) | Self::Value(bytes) => bytes,
        }
    }
}

/// A file as it is being rendered.
pub(crate) struct Output {
    pub(crate) bytes: Draft,
    /// Where values stand in it.
    pub(crate) values: Vec<Range<usize>>,
    /// What has been looked up for the places so far.
    notes: systemd::Notes,
}

impl Output {
    /// An empty one, for the places of one file.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        let bytes = Draft::with_capacity(capacity);
        Self { bytes, values: Vec::new(), notes: systemd::Notes::default() }
    }

    /// Begins anew, for another place of the same file.
    pub(crate) fn clear(&mut self) {
        (self.bytes, self.values) = (Draft::default(), Vec::new());
    }

    /// Writes `part` as it is.
    pub(crate) fn copy(&mut self, part: Part<'_>) {
        let start = self.bytes.len();
        self.bytes.push(part.bytes());
        if matches!(part, Part::Value(_)) {
            self.values.push(start..self.bytes.len());
        }
    }

    /// Writes what belongs to `part`, remembering where if it is a value.
    pub(crate) fn part<E>(
        &mut self,
        part: Part<'_>,
        write: impl FnOnce(&[u8], &mut Draft) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.bytes.len();
        write(part.bytes(), &mut self.bytes)?;
        if matches!(part, Part::Value(_)) {
            self.values.push(start..self.bytes.len());
        }
        Ok(())
    }
}

/// Why a format cannot carry a content; completes the sentence "the value ...".
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Refusal(pub(crate) &'static str);

/// Why a file does not follow its format.
#[derive(Debug)]
pub(crate) struct Malformed {
    pub(crate) at: usize,
    pub(crate) rule: Rule,
    pub(crate) what: &'static str,
    pub(crate) about: Option<About>,
}

impl Malformed {
    pub(crate) fn new(at: usize, rule: Rule, what: &'static str) -> Self {
        Self { at, rule, what, about: None }
    }

    /// The same, with what stands there.
    fn about(self, about: Option<About>) -> Self {
        Self { about, ..self }
    }
}

impl From<Malformed> for Pending {
    fn from(Malformed { at, rule, what, about }: Malformed) -> Self {
        Self { about: about.map(Box::new), ..Self::new(at, rule, what) }
    }
}

/// The text of a file in a format that has to be UTF-8.
fn utf8(src: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(src).map_err(|error| {
        Malformed::new(error.valid_up_to(), Rule::WrongEncoding, "the file is not UTF-8")
    })
}
