//! Both forms of Genesys configurations.

use bulla_resolve::Format;

use super::{Trial, python};

pub(super) const INI: Trial = Trial {
    format: Format::GenesysIni,
    extension: "cfg",
    template: "[s]\na = @@\nend = 1\n",
    keys: &[("a", "", "")],
};

pub(super) const XML: Trial = Trial {
    format: Format::GenesysXml,
    extension: "xml",
    template: "<o><p a=\"@@\" b='x{{ @@ }}y'/><c>x{{ @@ }}y</c><d><![CDATA[@@]]></d><end/></o>\n",
    keys: &[("a", "", ""), ("b", "x", "y"), ("c", "x", "y"), ("d", "", "")],
};

#[test]
fn genesys_ini_is_read_by_configparser() {
    INI.judge("Python configparser", &["python3", "-c", &python(PY_INI)]);
}

#[test]
fn genesys_xml_is_read_by_elementtree() {
    XML.judge("Python ElementTree", &["python3", "-c", &python(PY_XML)]);
}

const PY_INI: &str = r#"
import configparser
def read(path, key):
    for interpolation in (None, configparser.BasicInterpolation()):
        tree = configparser.ConfigParser(interpolation=interpolation)
        tree.read(path, encoding='utf-8')
        assert tree['s']['end'] == '1'
        value = tree['s'][key]
    return value
check('cfg', read)
"#;
const PY_XML: &str = r#"
import xml.etree.ElementTree as tree
def read(path, key):
    root = tree.parse(path).getroot()
    assert root[-1].tag == 'end'
    return root.find(key).text or '' if key in 'cd' else root[0].get(key)
check('xml', read)
"#;
