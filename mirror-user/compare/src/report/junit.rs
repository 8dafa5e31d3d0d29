//! A report as JUnit XML, which CI systems read: a suite for each endpoint, a case for each field.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::{EndpointReport, FieldReport, Report};
use crate::verdict::Verdict;

/// Writes it.
///
/// # Errors
/// If `out` cannot be written.
pub fn write(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    let mut xml = Writer::new_with_indent(out, b' ', 1);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    xml.create_element("testsuites")
        .with_attribute(("name", "mirror compare"))
        .write_inner_content(|xml| {
            report.endpoints.iter().try_for_each(|endpoint| suite(xml, endpoint))
        })?;
    xml.get_mut().write_all(b"\n")
}

fn suite(xml: &mut Writer<&mut dyn io::Write>, endpoint: &EndpointReport) -> io::Result<()> {
    let of = |verdict| endpoint.fields.iter().filter(|field| field.verdict == verdict).count();
    // One case says that the endpoint was compared at all, and how fast it is.
    let tests = (endpoint.fields.len() + 1).to_string();
    let failures = (of(Verdict::Regression) + usize::from(endpoint.is_slower)).to_string();
    let skipped = of(Verdict::Insufficient).to_string();
    xml.create_element("testsuite")
        .with_attributes([
            ("name", &*clean(&endpoint.name)),
            ("tests", &tests),
            ("failures", &failures),
            ("skipped", &skipped),
        ])
        .write_inner_content(|xml| {
            latency(xml, endpoint)?;
            endpoint.fields.iter().try_for_each(|field| case(xml, endpoint, field))
        })?;
    Ok(())
}

fn latency(xml: &mut Writer<&mut dyn io::Write>, endpoint: &EndpointReport) -> io::Result<()> {
    let name = clean(&endpoint.name);
    let case = xml
        .create_element("testcase")
        .with_attributes([("classname", &*name), ("name", "latency")]);
    match endpoint.slower.filter(|_| endpoint.is_slower) {
        None => case.write_empty().map(drop),
        Some(slower) => case
            .write_inner_content(|xml| {
                let message = format!(
                    "{:.2} times as slow at the median, p = {:.2e}",
                    slower.median_ratio, slower.p
                );
                xml.create_element("failure")
                    .with_attribute(("message", &*message))
                    .write_empty()
                    .map(drop)
            })
            .map(drop),
    }
}

fn case(
    xml: &mut Writer<&mut dyn io::Write>,
    endpoint: &EndpointReport,
    field: &FieldReport,
) -> io::Result<()> {
    let class: &'static str = field.class.into();
    let (suite, name) = (clean(&endpoint.name), clean(&format!("{} {class}", field.path)));
    let case =
        xml.create_element("testcase").with_attributes([("classname", &*suite), ("name", &*name)]);
    let message = format!("{} of {} requests: {}", field.raw, endpoint.total, field.cause);
    let tag = match field.verdict {
        Verdict::Regression => "failure",
        Verdict::Insufficient => "skipped",
        _ => return case.write_empty().map(drop),
    };
    case.write_inner_content(|xml| {
        let element = xml.create_element(tag).with_attribute(("message", &*message));
        match field.samples.first() {
            None => element.write_empty().map(drop),
            Some(sample) => {
                let side = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".to_owned());
                let text = format!(
                    "{}\nproduction: {}\ncandidate:  {}\n{}",
                    sample.request,
                    side(&sample.production),
                    side(&sample.candidate),
                    sample.curl
                );
                element.write_text_content(BytesText::new(&clean(&text))).map(drop)
            }
        }
    })
    .map(drop)
}

/// Without the characters that XML 1.0 has not (§2.2).
fn clean(text: &str) -> String {
    let good = |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{fffd}' | '\u{1_0000}'..);
    text.chars().map(|c| if good(c) { c } else { '\u{fffd}' }).collect()
}
