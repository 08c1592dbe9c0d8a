//! Resources in parameters: records of their own, which the text of the parameters leaves out.

use flatten::json::{JsonKind, Node};

/// Returns the text of a resource to be archived. The resources of parameters are records of their own: here only their
/// type and id are kept, so that an erasure reaches them at one place.
pub(super) fn without_parameters(node: Node<'_>) -> String {
    let mut inner = Vec::new();
    if node.get("resourceType").is_some_and(|name| name.is("Parameters")) {
        each_parameter(node.get("parameter"), &mut inner);
    }
    inner.sort_unstable_by_key(|resource| resource.span().start);
    let (text, start) = (node.raw(), node.span().start);
    let (mut out, mut written) = (String::new(), 0);
    for resource in inner {
        let span = resource.span();
        out.push_str(text.get(written..span.start - start).unwrap_or_default());
        written = span.end - start;
        let name = |name: &str| resource.get(name).map_or("null", Node::quoted);
        out.extend([r#"{"resourceType":"#, name("resourceType"), r#","id":"#, name("id"), "}"]);
    }
    out.push_str(text.get(written..).unwrap_or_default());
    out
}

/// Finds the resources that [`Assembler::parameters`](super::Assembler::parameters) reads.
fn each_parameter<'a>(parameters: Option<Node<'a>>, found: &mut Vec<Node<'a>>) {
    let Some(parameters) = parameters else { return };
    parameters.items().for_each(|inner| each_parameter(Some(inner), found));
    found.extend(parameters.get("resource").filter(|resource| resource.kind() == JsonKind::Object));
    each_parameter(parameters.get("part"), found);
}

#[cfg(test)]
mod tests {
    use flatten::json::{Limits, Tape};

    use super::without_parameters;

    #[test]
    fn parameters_are_archived_without_their_resources() {
        let of = |text: &str| {
            let mut tape = Tape::default();
            without_parameters(tape.parse(text.as_bytes(), Limits::default()).unwrap().root())
        };
        let patient = r#"{"resourceType":"Patient","id":"1","name":[{"family":"Secret"}]}"#;
        let text = format!(
            r#"{{"resourceType":"Parameters","id":"p","parameter":[{{"name":"a","resource":{patient}}},{{"part":[{{"resource":{patient}}}]}},{{"name":"b"}}]}}"#
        );
        let stub = r#"{"resourceType":"Patient","id":"1"}"#;
        assert_eq!(of(&text), text.replace(patient, stub));
        let other = format!(r#"{{"resourceType":"Basic","parameter":[{{"resource":{patient}}}]}}"#);
        assert_eq!(of(&other), other);
    }
}
