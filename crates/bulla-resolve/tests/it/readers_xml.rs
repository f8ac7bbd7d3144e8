//! XML documents of any kind, judged by Python's ElementTree and libxml2.

use bulla_resolve::Format;

use crate::matrix::{Place, Reader, alone, judge};

#[test]
fn xml_is_read_by_elementtree() {
    let reader = Reader { name: "Python ElementTree", command: &["python3", "-c", PYTHON] };
    judge(Format::Xml, "xml", XML, &reader);
}

#[test]
fn xml_is_read_by_libxml2() {
    let reader = Reader { name: "libxml2", command: &["sh", "-c", XMLLINT] };
    judge(Format::Xml, "xml", XML, &reader);
}

/// The value is in `@a`, or else in the first element.
pub(crate) const XML: &[Place] = &[
    alone("<o a=\"bulla://a/b\"/>\n"),
    alone("<?xml version='1.0' encoding='latin1'?>\n<o a='bulla://a/b'>x</o>\n"),
    alone("<?xml version=\"1.0\" encoding=\"us-ascii\"?>\n<o a='bulla://a/b'>x</o>\n"),
    alone("<?xml version=\"1.0\" encoding=\"UTF8\"?>\n<o a='bulla://a/b'>x</o>\n"),
    Place { template: "<o><p>x{{ bulla://a/b }}&amp;</p></o>", before: "x", after: "&" },
    Place { template: "<o><p><![CDATA[<{{ bulla://a/b }}]]></p></o>", before: "<", after: "" },
    Place {
        template: "<o><p>x{{ bulla://a/b }}<!-- c -->&amp;<?y?></p></o>",
        before: "x",
        after: "&",
    },
    Place {
        template: "<o xmlns='u:x' xmlns:n='u:n' a='&lt;{{ bulla://a/b }}&#10;'><n:p n:a=''/></o>",
        before: "<",
        after: "\n",
    },
];

const PYTHON: &str = r#"
import glob, sys, xml.etree.ElementTree as tree
for path in glob.glob(sys.argv[1] + '/*.xml'):
    root = tree.parse(path).getroot()
    got = root.get('a')
    if got is None: got = root[0].text
    open(path + '.got', 'wb').write(got.encode('utf-8'))
"#;
/// It ends what it prints with a line end.
const XMLLINT: &str = r#"
command -v xmllint >/dev/null || exit 77
for path in "$0"/*.xml; do
    xmllint --xpath 'string((/*/@a | /*[not(@a)]/*)[1])' "$path" |
        awk 'BEGIN { RS = "\001\001"; ORS = "" } { sub(/\n$/, ""); print }' > "$path.got"
done
exit 0
"#;
