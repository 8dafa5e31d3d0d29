//! Descriptions of an API with examples: OpenAPI, and the artefacts of Microcks.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{JSON, asked, case, cases, export, plain, read, recorded};
use crate::support::{Workspace, mirror};

fn description() -> (Workspace, Value) {
    let workspace = Workspace::new();
    let mut cases = cases();
    for id in [7, 8, 5001] {
        let user = format!(r#"{{"id":{id},"name":"Ada","address":{{"city":"London"}}}}"#);
        cases.push(case(asked(&format!("GET /v1/users/{id}"), "", ""), 200, JSON, user));
    }
    let from = workspace.file("day.pcap", &recorded(&cases));
    let to = workspace.path("shop.openapi.json");
    mirror(&["capture", "--redact", "none", "--from", &from, "--to", plain(&to)]).exits_with(0);
    let api = read(&to);
    (workspace, api)
}

#[test]
fn a_description_has_templates_schemas_and_examples_that_belong_together() {
    let (_workspace, api) = description();
    assert_eq!(api["info"]["title"], "shop");
    let user = &api["paths"]["/v1/users/{id}"]["get"];
    let ids = &user["parameters"][0];
    assert_eq!(
        (&ids["name"], &ids["in"], &ids["required"]),
        (&json!("id"), &json!("path"), &json!(true))
    );
    let content = &user["responses"]["200"]["content"]["application/json"];
    assert_eq!(content["schema"]["required"], json!(["address", "id", "name"]));
    assert_eq!(content["schema"]["properties"]["id"], json!({"type": "integer"}));
    for (name, example) in ids["examples"].as_object().unwrap() {
        assert_eq!(
            content["examples"][name]["value"]["id"].to_string(),
            example["value"].as_str().unwrap()
        );
    }
    let items = &api["paths"]["/v1/items"]["get"]["parameters"];
    let of = |name: &str| items.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap();
    assert_eq!(
        (&of("a")["required"], &of("b")["schema"]["type"]),
        (&json!(false), &json!("array"))
    );
    let login = &api["paths"]["/login"]["post"];
    let form = &login["requestBody"]["content"]["application/x-www-form-urlencoded"];
    assert_eq!(
        form["examples"]["example-1"]["value"],
        json!({"user": "ada", "pass": "a&b", "tag": ["x", "y"]})
    );
    assert_eq!(login["responses"]["303"]["x-microcks-refs"], json!(["example-1"]));
    let job = &api["paths"]["/v1/job"]["get"]["responses"];
    assert_eq!(
        job["202"]["content"]["text/plain"]["examples"],
        json!({"example-1-2": {"value": "nearly"}})
    );
    assert_eq!(
        api["paths"]["/image.png"]["get"]["responses"]["200"]["content"]["image/png"],
        json!({"schema": {"type": "string", "format": "binary"}})
    );
}

#[test]
#[ignore = "needs openapi-spec-validator: cargo xtask test"]
fn openapi_spec_validator_takes_the_description() {
    let (workspace, _) = description();
    let judge = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../target/tools/openapi/bin/openapi-spec-validator");
    let judged = Command::new(&judge).arg(workspace.path("shop.openapi.json")).output().unwrap();
    assert!(
        judged.status.success(),
        "{}{}",
        String::from_utf8_lossy(&judged.stdout),
        String::from_utf8_lossy(&judged.stderr)
    );
    let wrong =
        workspace.file("wrong.json", br#"{"openapi":"3.0.3","info":{"title":"x"},"paths":{}}"#);
    assert!(!Command::new(&judge).arg(wrong).output().unwrap().status.success());
}

#[test]
fn artefacts_of_microcks_begin_lines_as_it_looks_for_them_and_have_one_answer_for_a_request() {
    let workspace = Workspace::new();
    let mut cases = cases();
    // What Microcks would take for a description, if it stood in a line.
    cases.push(case(
        asked("GET /v1/specs/7", "", ""),
        200,
        "Content-Type: text/yaml\r\n",
        "openapi: 3.0.3\nswagger: \"2.0\"\n",
    ));
    let from = workspace.file("day.pcap", &recorded(&cases));
    let folder = workspace.path("shop");
    mirror(&export(&from, &folder, "microcks"))
        .exits_with(0)
        // The first three answers of the sequence.
        .says("examples_left_out 3");
    let job = &read(&folder.join("openapi.json"))["paths"]["/v1/job"]["get"]["responses"];
    assert_eq!(
        job["200"]["content"]["text/plain"]["examples"],
        json!({"example-1": {"value": "done"}})
    );
    let yaml = fs::read_to_string(folder.join("examples.yaml")).unwrap();
    let postman = fs::read_to_string(folder.join("postman.json")).unwrap();
    assert!(yaml.lines().any(|line| line == "kind: APIExamples"));
    assert!(postman.lines().any(|line| line.trim_start().starts_with("\"_postman_id\":")));
    for text in [&yaml, &postman] {
        assert!(
            !text.contains("openapi:")
                && !text.contains("swagger:")
                && text.contains("\\u003a 3.0.3")
        );
    }
    // JSON in block YAML: the example is the line's rest.
    let example = |operation: &str, name: &str| -> Value {
        let mut lines = yaml.lines().skip_while(|line| *line != format!("  \"{operation}\":"));
        let line = lines.find_map(|line| line.strip_prefix(&format!("    {name}: "))).unwrap();
        serde_json::from_str(line).unwrap()
    };
    let ada = example("POST /v1/users", "example-1");
    assert_eq!(ada["request"]["parameters"], json!({"source": "web"}));
    assert_eq!(ada["request"]["body"], r#"{"name":"Ada","plan":"pro"}"#);
    assert_eq!(
        (&ada["response"]["status"], &ada["response"]["mediaType"]),
        (&json!("201"), &json!("application/json"))
    );
    let spec = example("GET /v1/specs/{id}", "example-1");
    assert_eq!(
        (&spec["request"]["parameters"]["id"], &spec["response"]["body"]),
        (&json!("7"), &json!("openapi: 3.0.3\nswagger: \"2.0\"\n"))
    );
    let postman: Value = serde_json::from_str(&postman).unwrap();
    assert!(postman["info"]["description"].as_str().unwrap().starts_with("version=1.0.0 -"));
    let users =
        postman["item"].as_array().unwrap().iter().find(|one| one["name"] == "/v1/users").unwrap();
    let response = &users["item"][0]["response"][0];
    assert_eq!(
        (&response["code"], &response["body"]),
        (&json!(201), &json!(r#"{"id":42,"name":"Ada","plan":"pro"}"#))
    );
    assert_eq!(
        response["originalRequest"]["url"]["raw"],
        "http://users.internal:8080/v1/users?source=web"
    );
}
