//! The two objects whose pages are parsed: fields, types and how often they are empty.
//!
//! The names and types are the vendor's (developer.intacct.com, Vendors and General Ledger Detail);
//! the shares of empty values are set so that a page looks like a small company's.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeOwned, Deserializer, Visitor};

/// A record type that pages are made of and read into.
pub trait Record: DeserializeOwned + PartialEq + fmt::Debug {
    /// The integration name, as in `<VENDOR>` of a `query` answer.
    const OBJECT: &'static str;
    /// The fields in the order of the answer.
    const FIELDS: &'static [FieldSpec];

    /// The values as text, in the order of the fields.
    fn texts(&self) -> Vec<Option<String>>;
}

/// One field of a record type.
#[derive(Clone, Copy, Debug)]
pub struct FieldSpec {
    /// The element's name, such as `DISPLAYCONTACT.MAILADDRESS.CITY`.
    pub name: &'static str,
    /// The type of the value.
    pub kind: Kind,
    /// What stands in it.
    pub content: Content,
    /// How many records in 100 have no value.
    pub empty_percent: u8,
}

/// The type of a field's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// Digits.
    Integer,
    /// Digits with a point.
    Decimal,
    /// `true` or `false`.
    Boolean,
    /// `mm/dd/yyyy`.
    Date,
    /// `mm/dd/yyyy hh:mm:ss`.
    Timestamp,
}

/// What the values of a field look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The record's number.
    RecordNumber,
    /// Up to seven digits.
    Number,
    /// An amount with two decimals, or one or none.
    Amount,
    /// `true` or `false`.
    Flag,
    /// A day in three years.
    Day,
    /// A second in three years.
    Second,
    /// A code such as `V-00123`.
    Code,
    /// One of few words.
    Word,
    /// A company's or a person's name: 4 in 100 beyond ASCII, 9 in 100 with an ampersand.
    Name,
    /// Five to nine words, 30 in 100 with a special.
    Sentence,
    /// 40 to 80 words, 70 in 100 with a special.
    Memo,
    /// A street with its number.
    Street,
    /// A telephone number.
    Phone,
    /// An e-mail address.
    Email,
    /// An address with a query, so with an escaped ampersand.
    Url,
}

type Text = Option<String>;
type Integer = Option<i64>;
type Decimal = Option<String>;
type Boolean = Option<bool>;
type Date = Option<String>;
type Timestamp = Option<String>;

macro_rules! record {
    (
        $(#[$doc:meta])*
        $record:ident $object:literal
        { $($field:ident $name:literal $kind:ident $content:ident $empty:literal;)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
        #[serde(default)]
        pub struct $record {
            $(
                #[doc = concat!("`", $name, "`")]
                #[serde(rename = $name, deserialize_with = "optional")]
                pub $field: $kind,
            )*
        }

        impl Record for $record {
            const OBJECT: &'static str = $object;
            const FIELDS: &'static [FieldSpec] = &[
                $(FieldSpec {
                    name: $name,
                    kind: Kind::$kind,
                    content: Content::$content,
                    empty_percent: $empty,
                },)*
            ];

            fn texts(&self) -> Vec<Option<String>> {
                vec![$(self.$field.as_ref().map(ToString::to_string),)*]
            }
        }
    };
}

record! {
    /// A vendor, 61 fields. Decimals and times are read as text, as a careful user does.
    Vendor "VENDOR" {
        recordno "RECORDNO" Integer RecordNumber 0;
        vendorid "VENDORID" Text Code 0;
        name "NAME" Text Name 0;
        entity "ENTITY" Text Code 0;
        parentkey "PARENTKEY" Integer Number 92;
        parentid "PARENTID" Text Code 92;
        parentname "PARENTNAME" Text Name 92;
        vendtype "VENDTYPE" Text Word 50;
        status "STATUS" Text Word 0;
        onetime "ONETIME" Boolean Flag 0;
        onhold "ONHOLD" Boolean Flag 0;
        donotcutcheck "DONOTCUTCHECK" Boolean Flag 0;
        creditlimit "CREDITLIMIT" Decimal Amount 90;
        totaldue "TOTALDUE" Decimal Amount 20;
        termname "TERMNAME" Text Word 35;
        billingtype "BILLINGTYPE" Text Word 95;
        paymentpriority "PAYMENTPRIORITY" Text Word 40;
        taxid "TAXID" Text Code 75;
        name1099 "NAME1099" Text Name 80;
        form1099type "FORM1099TYPE" Text Word 80;
        form1099box "FORM1099BOX" Text Word 80;
        glgroup "GLGROUP" Text Word 85;
        accountlabel "ACCOUNTLABEL" Text Word 95;
        apaccount "APACCOUNT" Text Code 85;
        apaccounttitle "APACCOUNTTITLE" Text Sentence 85;
        offsetglaccountno "OFFSETGLACCOUNTNO" Text Code 97;
        currency "CURRENCY" Text Word 25;
        vendoraccountno "VENDORACCOUNTNO" Text Code 85;
        paymethodkey "PAYMETHODKEY" Text Word 60;
        mergepaymentreq "MERGEPAYMENTREQ" Boolean Flag 0;
        paymentnotify "PAYMENTNOTIFY" Boolean Flag 0;
        displaytermdiscount "DISPLAYTERMDISCOUNT" Boolean Flag 0;
        achenabled "ACHENABLED" Boolean Flag 25;
        comments "COMMENTS" Text Memo 55;
        supdocid "SUPDOCID" Text Code 96;
        objectrestriction "OBJECTRESTRICTION" Text Word 5;
        isindividual "ISINDIVIDUAL" Boolean Flag 25;
        displaycontactkey "DISPLAYCONTACTKEY" Integer Number 0;
        contact_name "DISPLAYCONTACT.CONTACTNAME" Text Name 0;
        contact_companyname "DISPLAYCONTACT.COMPANYNAME" Text Name 65;
        contact_prefix "DISPLAYCONTACT.PREFIX" Text Word 85;
        contact_firstname "DISPLAYCONTACT.FIRSTNAME" Text Name 70;
        contact_lastname "DISPLAYCONTACT.LASTNAME" Text Name 70;
        contact_printas "DISPLAYCONTACT.PRINTAS" Text Name 0;
        contact_taxable "DISPLAYCONTACT.TAXABLE" Boolean Flag 0;
        contact_phone1 "DISPLAYCONTACT.PHONE1" Text Phone 55;
        contact_phone2 "DISPLAYCONTACT.PHONE2" Text Phone 95;
        contact_fax "DISPLAYCONTACT.FAX" Text Phone 90;
        contact_email1 "DISPLAYCONTACT.EMAIL1" Text Email 60;
        contact_email2 "DISPLAYCONTACT.EMAIL2" Text Email 97;
        contact_url1 "DISPLAYCONTACT.URL1" Text Url 85;
        contact_address1 "DISPLAYCONTACT.MAILADDRESS.ADDRESS1" Text Street 45;
        contact_address2 "DISPLAYCONTACT.MAILADDRESS.ADDRESS2" Text Street 90;
        contact_city "DISPLAYCONTACT.MAILADDRESS.CITY" Text Name 45;
        contact_state "DISPLAYCONTACT.MAILADDRESS.STATE" Text Word 50;
        contact_zip "DISPLAYCONTACT.MAILADDRESS.ZIP" Text Number 45;
        contact_country "DISPLAYCONTACT.MAILADDRESS.COUNTRY" Text Word 45;
        contact_countrycode "DISPLAYCONTACT.MAILADDRESS.COUNTRYCODE" Text Word 65;
        whencreated "WHENCREATED" Timestamp Second 0;
        whenmodified "WHENMODIFIED" Timestamp Second 3;
        megaentityid "MEGAENTITYID" Text Code 90;
    }
}

record! {
    /// A line of the ledger, 42 fields. Decimals and times are read as text, as a careful user does.
    GlDetail "GLDETAIL" {
        recordno "RECORDNO" Text RecordNumber 0;
        batchkey "BATCHKEY" Integer Number 0;
        batch_date "BATCH_DATE" Date Day 0;
        batch_title "BATCH_TITLE" Text Sentence 0;
        batch_no "BATCH_NO" Integer Number 0;
        batch_state "BATCH_STATE" Text Word 0;
        symbol "SYMBOL" Text Word 0;
        bookid "BOOKID" Text Word 0;
        childentity "CHILDENTITY" Text Code 70;
        modified "MODIFIED" Timestamp Second 0;
        referenceno "REFERENCENO" Text Code 70;
        adj "ADJ" Boolean Flag 0;
        modulekey "MODULEKEY" Text Word 0;
        line_no "LINE_NO" Integer Number 0;
        entry_date "ENTRY_DATE" Date Day 0;
        entry_state "ENTRY_STATE" Text Word 0;
        tr_type "TR_TYPE" Integer Number 0;
        document "DOCUMENT" Text Code 70;
        accountno "ACCOUNTNO" Text Code 0;
        accounttitle "ACCOUNTTITLE" Text Sentence 0;
        statistical "STATISTICAL" Boolean Flag 0;
        departmentid "DEPARTMENTID" Text Code 10;
        departmenttitle "DEPARTMENTTITLE" Text Name 10;
        locationid "LOCATIONID" Text Code 5;
        locationname "LOCATIONNAME" Text Name 5;
        currency "CURRENCY" Text Word 0;
        basecurr "BASECURR" Text Word 0;
        description "DESCRIPTION" Text Sentence 30;
        debitamount "DEBITAMOUNT" Decimal Amount 50;
        creditamount "CREDITAMOUNT" Decimal Amount 50;
        amount "AMOUNT" Decimal Amount 0;
        trx_amount "TRX_AMOUNT" Decimal Amount 0;
        cleared "CLEARED" Text Word 55;
        clrdate "CLRDATE" Date Day 85;
        recordtype "RECORDTYPE" Text Word 45;
        recordid "RECORDID" Text Code 50;
        whendue "WHENDUE" Date Day 65;
        whenpaid "WHENPAID" Date Day 80;
        whenmodified "WHENMODIFIED" Timestamp Second 0;
        totalentered "TOTALENTERED" Decimal Amount 40;
        vendorid "VENDORID" Text Code 80;
        vendorname "VENDORNAME" Text Name 80;
    }
}

/// A value that may be missing or empty: other deserialisers do not take an empty element for none.
fn optional<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromText,
{
    deserializer.deserialize_option(Optional(PhantomData))
}

struct Optional<T>(PhantomData<T>);

impl<'de, T: FromText> Visitor<'de> for Optional<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text of a value")
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        deserializer.deserialize_str(self)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Option<T>, E> {
        if text.is_empty() {
            return Ok(None);
        }
        match T::from_text(text) {
            Some(value) => Ok(Some(value)),
            None => Err(E::custom("the text is not of the field's type")),
        }
    }

    fn visit_none<E: de::Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }
}

trait FromText: Sized {
    fn from_text(text: &str) -> Option<Self>;
}

impl FromText for String {
    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl FromText for i64 {
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl FromText for bool {
    fn from_text(text: &str) -> Option<Self> {
        match text {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }
}
