//! Files in dialects, adopted and rendered: whatever stands in them comes back.

use bulla_resolve::Format;
use proptest::prelude::*;

use crate::adopt::{assert_comes_back, value};

proptest! {
    #[test]
    fn ini_comes_back(values in prop::collection::vec((value(), 0..5u8), 1..6), crlf: bool) {
        let mut file = String::from("# x\n[s]\n");
        for (number, (value, style)) in values.iter().enumerate() {
            file += &match style {
                0 => format!("password{number} = {value}\n"),
                1 => format!("password{number}=\"{value}\" ; c\n"),
                2 => format!("\tpassword{number} = '{value}'  \n"),
                3 => format!("password{number} : {}\n", value.replace('\n', "\n    ")),
                _ => format!("password{number} = {}\n", value.escape_default()),
            };
        }
        if crlf {
            file = file.replace('\n', "\r\n");
        }
        for format in DIALECTS {
            // What the reader of the dialect refuses as a whole is no file to adopt.
            if bulla_resolve::Adoption::find("app", file.as_bytes(), Some(*format)).is_ok() {
                assert_comes_back("app", Some(*format), file.as_bytes());
            }
        }
    }

    #[test]
    fn assignments_come_back(values in prop::collection::vec((value(), 0..7u8), 1..6)) {
        let mut file = String::from("# it's\n");
        for (number, (value, style)) in values.iter().enumerate() {
            file += &match style {
                0 => format!("K{number}_TOKEN={value}\n"),
                1 => format!("export K{number}_TOKEN='{value}'\n"),
                2 => format!("K{number}_TOKEN=\"{value}\" # c\n"),
                3 => format!("K{number}_TOKEN='{}'\n", value.replace('\'', "'\\''")),
                4 => format!("K{number}_TOKEN=$'{}'\n", value.escape_default()),
                5 => format!("K{number}_TOKEN=`{value}`; x=y\n"),
                _ => format!("K{number}_TOKEN=\"{}\"\n", value.escape_debug()),
            };
        }
        for format in ASSIGNMENTS {
            if bulla_resolve::Adoption::find("app", file.as_bytes(), Some(*format)).is_ok() {
                assert_comes_back("app", Some(*format), file.as_bytes());
            }
        }
    }

    #[test]
    fn units_come_back(values in prop::collection::vec((value(), 0..6u8), 1..6)) {
        let mut file = String::from("[Service]\n");
        for (number, (value, style)) in values.iter().enumerate() {
            file += &match style {
                0 => format!("Environment=K{number}_TOKEN={value} x=y\n"),
                1 => format!("Environment='K{number}_TOKEN={value}' \\\n  x=y\n"),
                2 => format!("Environment=\"K{number}_TOKEN={}\"\n", value.escape_debug()),
                3 => format!("SetCredential=k{number}.token:{}\n", value.escape_default()),
                4 => format!("XToken{number} = {value}\n"),
                _ => format!("ExecStart=:/bin/x postgres://u:{}@h/\n", value.escape_default()),
            };
        }
        assert_comes_back("app.service", None, file.as_bytes());
    }

    #[test]
    fn xml_comes_back(values in prop::collection::vec((value(), 0..4u8), 1..6)) {
        let mut file = String::from("<o>\n");
        for (value, style) in &values {
            let text: String = value.chars().filter(|c| !c.is_control()).collect();
            let text = text.replace('&', "&amp;").replace('<', "&lt;");
            file += &match style {
                0 => format!("<a password=\"{}\" b='c'/>\n", text.replace('"', "&quot;")),
                1 => format!("<password>{}</password>", text.replace('>', "&gt;")),
                2 => format!("<add key='token' value='{}'/>", text.replace('\'', "&#39;")),
                _ => format!("<token><![CDATA[{}]]></token>", text.replace(']', "")),
            };
        }
        assert_comes_back("app.xml", None, (file + "</o>").as_bytes());
    }
}

const DIALECTS: &[Format] =
    &[Format::Ini, Format::IniGit, Format::IniMysql, Format::IniPython, Format::IniPythonRaw];
const ASSIGNMENTS: &[Format] =
    &[Format::DotenvDocker, Format::DotenvNode, Format::DotenvPython, Format::Shell];
