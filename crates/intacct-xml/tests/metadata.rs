//! What sessions, `lookup` and `inspect` answer.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use intacct_xml::ErrorKind;
use intacct_xml::metadata::{ApiSession, DataType, InspectedObject, ObjectDefinition, ObjectType};
use intacct_xml::response::{Element, ReadOptions, Tree, read_response};

fn records(function: &str, data: &str) -> Vec<Element> {
    let body = format!(
        "<response><control><status>success</status></control><operation><authentication><status>success</status>\
         </authentication><result><status>success</status><function>{function}</function><controlid>f</controlid>\
         {data}</result></operation></response>"
    );
    let mut tree = Tree::new();
    read_response(body.as_bytes(), &ReadOptions::default(), &mut tree).unwrap();
    tree.records("f").to_vec()
}

#[test]
fn a_session_needs_an_id_and_an_endpoint() {
    let session = |api: &str| {
        ApiSession::from_records(&records(
            "getAPISession",
            &format!("<data><api>{api}</api></data>"),
        ))
    };
    let good =
        session("<sessionid>secret..</sessionid><endpoint>https://na12.intacct.com/x</endpoint>")
            .unwrap();
    assert_eq!(good.session_id.expose(), "secret..");
    assert_eq!(good.location_id, None);
    assert!(!format!("{good:?}").contains("secret"));
    let error = session("<sessionid/><endpoint>https://x</endpoint>").unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::Protocol, Some("sessionid"))
    );
    assert_eq!(
        session("<sessionid>a</sessionid>").unwrap_err().field(),
        Some("endpoint")
    );
    assert_eq!(
        ApiSession::from_records(&[]).unwrap_err().field(),
        Some("api")
    );
}

#[test]
fn a_lookup_is_read() {
    let records = records(
        "lookup",
        "<data><Type Name=\"VENDOR\" DocumentType=\"\"><Fields>\
         <Field><ID>RECORDNO</ID><LABEL>Record number</LABEL><DESCRIPTION>No &amp; key</DESCRIPTION>\
         <REQUIRED>false</REQUIRED><READONLY>true</READONLY><DATATYPE>INTEGER</DATATYPE><ISCUSTOM>false</ISCUSTOM></Field>\
         <Field><ID>STATUS</ID><LABEL/><REQUIRED>true</REQUIRED><READONLY/><DATATYPE>ENUM</DATATYPE>\
         <VALIDVALUES><VALIDVALUE>active</VALIDVALUE><VALIDVALUE>inactive</VALIDVALUE></VALIDVALUES>\
         <ISCUSTOM>true</ISCUSTOM></Field><Field><ID>X</ID><DATATYPE>HOLOGRAM</DATATYPE></Field></Fields>\
         <Relationships><Relationship><OBJECTPATH>PARENT</OBJECTPATH><OBJECTNAME>VENDOR</OBJECTNAME><LABEL>Parent</LABEL>\
         <RELATIONSHIPTYPE>MANY2ONE</RELATIONSHIPTYPE><RELATEDBY>PARENTID</RELATEDBY></Relationship></Relationships>\
         </Type></data>",
    );
    let definition = ObjectDefinition::from_records(&records).unwrap();
    assert_eq!(
        (
            definition.name.as_str(),
            definition.document_type.as_deref()
        ),
        ("VENDOR", None)
    );
    let key = definition.field("RECORDNO").unwrap();
    assert_eq!(key.data_type, DataType::Integer);
    assert_eq!(key.description.as_deref(), Some("No & key"));
    assert!(key.read_only && !key.required && !key.is_custom);
    let status = definition.field("STATUS").unwrap();
    assert_eq!(status.valid_values, ["active", "inactive"]);
    assert!(status.required && !status.read_only && status.is_custom);
    assert_eq!(status.label, None);
    assert_eq!(
        definition.fields[2].data_type,
        DataType::Other("HOLOGRAM".to_owned())
    );
    assert_eq!(
        definition.relationships[0].relationship_type.as_deref(),
        Some("MANY2ONE")
    );
    assert_eq!(
        definition.relationships[0].related_by.as_deref(),
        Some("PARENTID")
    );
}

#[test]
fn an_object_without_relationships_is_read() {
    let records = records(
        "lookup",
        "<data><Type Name=\"X\"><Fields/><Relationships/></Type></data>",
    );
    let definition = ObjectDefinition::from_records(&records).unwrap();
    assert!(definition.fields.is_empty() && definition.relationships.is_empty());
    assert_eq!(
        ObjectDefinition::from_records(&[]).unwrap_err().kind(),
        ErrorKind::Protocol
    );
}

#[test]
fn an_inspect_of_everything_is_read() {
    let records = records(
        "inspect",
        "<data listtype=\"All\" count=\"1\"><type typename=\"VENDOR\">Vendor</type><type typename=\"rate_x\">R &amp; X</type></data>",
    );
    let types = ObjectType::from_records(&records).unwrap();
    let listed: Vec<_> = types
        .iter()
        .map(|object| (object.name.as_str(), object.label.as_deref()))
        .collect();
    assert_eq!(
        listed,
        [("VENDOR", Some("Vendor")), ("rate_x", Some("R & X"))]
    );
}

#[test]
fn an_inspect_of_one_object_is_read_in_both_forms() {
    let names = records(
        "inspect",
        "<data><Type Name=\"V\"><Fields><Field>A</Field><Field>B</Field></Fields></Type></data>",
    );
    let object = InspectedObject::from_records(&names).unwrap();
    assert_eq!(
        object
            .fields
            .iter()
            .map(|field| field.name.as_str())
            .collect::<Vec<_>>(),
        ["A", "B"]
    );

    let details = records(
        "inspect",
        "<data><Type Name=\"V\"><Attributes/><Fields><Field><Name>A</Name><GroupName>G</GroupName><dataName>string</dataName>\
         <externalDataName>text</externalDataName><isRequired>true</isRequired><isReadOnly>false</isReadOnly>\
         <maxLength>80</maxLength><DisplayLabel>The A</DisplayLabel><Description>d</Description><id>7</id></Field></Fields></Type></data>",
    );
    let field = &InspectedObject::from_records(&details).unwrap().fields[0];
    assert_eq!(
        (
            field.name.as_str(),
            field.max_length,
            field.required,
            field.read_only
        ),
        ("A", Some(80), true, false)
    );
    assert_eq!(
        (field.label.as_deref(), field.external_data_name.as_deref()),
        (Some("The A"), Some("text"))
    );
}
