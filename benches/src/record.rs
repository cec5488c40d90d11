//! The objects whose pages are parsed: fields, types and how often they are empty.
//!
//! The names and types are the vendor's (developer.intacct.com, Vendors, General Ledger Detail and Invoices);
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

record! {
    /// An invoice with three contacts and 40 custom fields, 165 fields: a company that asks for all
    /// there is.
    Invoice "ARINVOICE" {
        recordno "RECORDNO" Text RecordNumber 0;
        recordid "RECORDID" Text Code 0;
        recordtype "RECORDTYPE" Text Word 0;
        state "STATE" Text Word 0;
        rawstate "RAWSTATE" Text Word 0;
        entity "ENTITY" Text Code 0;
        customerid "CUSTOMERID" Text Code 0;
        customername "CUSTOMERNAME" Text Name 0;
        trx_entitydue "TRX_ENTITYDUE" Decimal Amount 0;
        docnumber "DOCNUMBER" Text Code 70;
        description "DESCRIPTION" Text Sentence 40;
        description2 "DESCRIPTION2" Text Sentence 85;
        termname "TERMNAME" Text Word 10;
        whencreated "WHENCREATED" Date Day 0;
        whenposted "WHENPOSTED" Date Day 0;
        whendiscount "WHENDISCOUNT" Date Day 80;
        whendue "WHENDUE" Date Day 0;
        whenpaid "WHENPAID" Date Day 50;
        basecurr "BASECURR" Text Word 0;
        currency "CURRENCY" Text Word 0;
        exch_rate_date "EXCH_RATE_DATE" Date Day 30;
        totalentered "TOTALENTERED" Decimal Amount 0;
        totalselected "TOTALSELECTED" Decimal Amount 0;
        totalpaid "TOTALPAID" Decimal Amount 0;
        totaldue "TOTALDUE" Decimal Amount 0;
        trx_totalentered "TRX_TOTALENTERED" Decimal Amount 0;
        trx_totalselected "TRX_TOTALSELECTED" Decimal Amount 0;
        trx_totalpaid "TRX_TOTALPAID" Decimal Amount 0;
        trx_totaldue "TRX_TOTALDUE" Decimal Amount 0;
        billtopaytokey "BILLTOPAYTOKEY" Integer Number 60;
        shiptoreturntokey "SHIPTORETURNTOKEY" Integer Number 60;
        prbatch "PRBATCH" Text Sentence 0;
        prbatchkey "PRBATCHKEY" Integer Number 0;
        modulekey "MODULEKEY" Text Word 0;
        schopkey "SCHOPKEY" Integer Number 95;
        systemgenerated "SYSTEMGENERATED" Boolean Flag 0;
        hasadvance "HASADVANCE" Boolean Flag 70;
        duein "DUEIN" Integer Number 20;
        auwhencreated "AUWHENCREATED" Timestamp Second 0;
        whenmodified "WHENMODIFIED" Timestamp Second 0;
        createdby "CREATEDBY" Integer Number 0;
        modifiedby "MODIFIEDBY" Integer Number 0;
        supdocid "SUPDOCID" Text Code 90;
        supdockey "SUPDOCKEY" Integer Number 90;
        megaentitykey "MEGAENTITYKEY" Integer Number 60;
        megaentityid "MEGAENTITYID" Text Code 60;
        megaentityname "MEGAENTITYNAME" Text Name 60;
        contact_contactname "CONTACT.CONTACTNAME" Text Name 10;
        contact_prefix "CONTACT.PREFIX" Text Word 90;
        contact_firstname "CONTACT.FIRSTNAME" Text Name 60;
        contact_initial "CONTACT.INITIAL" Text Word 95;
        contact_lastname "CONTACT.LASTNAME" Text Name 60;
        contact_companyname "CONTACT.COMPANYNAME" Text Name 50;
        contact_printas "CONTACT.PRINTAS" Text Name 10;
        contact_phone1 "CONTACT.PHONE1" Text Phone 40;
        contact_phone2 "CONTACT.PHONE2" Text Phone 90;
        contact_cellphone "CONTACT.CELLPHONE" Text Phone 85;
        contact_pager "CONTACT.PAGER" Text Phone 98;
        contact_fax "CONTACT.FAX" Text Phone 85;
        contact_email1 "CONTACT.EMAIL1" Text Email 45;
        contact_email2 "CONTACT.EMAIL2" Text Email 95;
        contact_url1 "CONTACT.URL1" Text Url 85;
        contact_url2 "CONTACT.URL2" Text Url 97;
        contact_visible "CONTACT.VISIBLE" Text Word 0;
        contact_address1 "CONTACT.MAILADDRESS.ADDRESS1" Text Street 30;
        contact_address2 "CONTACT.MAILADDRESS.ADDRESS2" Text Street 85;
        contact_city "CONTACT.MAILADDRESS.CITY" Text Name 30;
        contact_state "CONTACT.MAILADDRESS.STATE" Text Word 35;
        contact_zip "CONTACT.MAILADDRESS.ZIP" Text Number 30;
        contact_country "CONTACT.MAILADDRESS.COUNTRY" Text Word 30;
        contact_countrycode "CONTACT.MAILADDRESS.COUNTRYCODE" Text Word 30;
        contact_latitude "CONTACT.MAILADDRESS.LATITUDE" Text Word 99;
        contact_longitude "CONTACT.MAILADDRESS.LONGITUDE" Text Word 99;
        billto_contactname "BILLTO.CONTACTNAME" Text Name 10;
        billto_prefix "BILLTO.PREFIX" Text Word 90;
        billto_firstname "BILLTO.FIRSTNAME" Text Name 60;
        billto_initial "BILLTO.INITIAL" Text Word 95;
        billto_lastname "BILLTO.LASTNAME" Text Name 60;
        billto_companyname "BILLTO.COMPANYNAME" Text Name 50;
        billto_printas "BILLTO.PRINTAS" Text Name 10;
        billto_phone1 "BILLTO.PHONE1" Text Phone 40;
        billto_phone2 "BILLTO.PHONE2" Text Phone 90;
        billto_cellphone "BILLTO.CELLPHONE" Text Phone 85;
        billto_pager "BILLTO.PAGER" Text Phone 98;
        billto_fax "BILLTO.FAX" Text Phone 85;
        billto_email1 "BILLTO.EMAIL1" Text Email 45;
        billto_email2 "BILLTO.EMAIL2" Text Email 95;
        billto_url1 "BILLTO.URL1" Text Url 85;
        billto_url2 "BILLTO.URL2" Text Url 97;
        billto_visible "BILLTO.VISIBLE" Text Word 0;
        billto_address1 "BILLTO.MAILADDRESS.ADDRESS1" Text Street 30;
        billto_address2 "BILLTO.MAILADDRESS.ADDRESS2" Text Street 85;
        billto_city "BILLTO.MAILADDRESS.CITY" Text Name 30;
        billto_state "BILLTO.MAILADDRESS.STATE" Text Word 35;
        billto_zip "BILLTO.MAILADDRESS.ZIP" Text Number 30;
        billto_country "BILLTO.MAILADDRESS.COUNTRY" Text Word 30;
        billto_countrycode "BILLTO.MAILADDRESS.COUNTRYCODE" Text Word 30;
        billto_latitude "BILLTO.MAILADDRESS.LATITUDE" Text Word 99;
        billto_longitude "BILLTO.MAILADDRESS.LONGITUDE" Text Word 99;
        shipto_contactname "SHIPTO.CONTACTNAME" Text Name 10;
        shipto_prefix "SHIPTO.PREFIX" Text Word 90;
        shipto_firstname "SHIPTO.FIRSTNAME" Text Name 60;
        shipto_initial "SHIPTO.INITIAL" Text Word 95;
        shipto_lastname "SHIPTO.LASTNAME" Text Name 60;
        shipto_companyname "SHIPTO.COMPANYNAME" Text Name 50;
        shipto_printas "SHIPTO.PRINTAS" Text Name 10;
        shipto_phone1 "SHIPTO.PHONE1" Text Phone 40;
        shipto_phone2 "SHIPTO.PHONE2" Text Phone 90;
        shipto_cellphone "SHIPTO.CELLPHONE" Text Phone 85;
        shipto_pager "SHIPTO.PAGER" Text Phone 98;
        shipto_fax "SHIPTO.FAX" Text Phone 85;
        shipto_email1 "SHIPTO.EMAIL1" Text Email 45;
        shipto_email2 "SHIPTO.EMAIL2" Text Email 95;
        shipto_url1 "SHIPTO.URL1" Text Url 85;
        shipto_url2 "SHIPTO.URL2" Text Url 97;
        shipto_visible "SHIPTO.VISIBLE" Text Word 0;
        shipto_address1 "SHIPTO.MAILADDRESS.ADDRESS1" Text Street 30;
        shipto_address2 "SHIPTO.MAILADDRESS.ADDRESS2" Text Street 85;
        shipto_city "SHIPTO.MAILADDRESS.CITY" Text Name 30;
        shipto_state "SHIPTO.MAILADDRESS.STATE" Text Word 35;
        shipto_zip "SHIPTO.MAILADDRESS.ZIP" Text Number 30;
        shipto_country "SHIPTO.MAILADDRESS.COUNTRY" Text Word 30;
        shipto_countrycode "SHIPTO.MAILADDRESS.COUNTRYCODE" Text Word 30;
        shipto_latitude "SHIPTO.MAILADDRESS.LATITUDE" Text Word 99;
        shipto_longitude "SHIPTO.MAILADDRESS.LONGITUDE" Text Word 99;
        custom_1 "CUSTOM_FIELD_01" Text Sentence 80;
        custom_2 "CUSTOM_FIELD_02" Decimal Amount 60;
        custom_3 "CUSTOM_FIELD_03" Boolean Flag 5;
        custom_4 "CUSTOM_FIELD_04" Date Day 75;
        custom_5 "CUSTOM_FIELD_05" Text Word 70;
        custom_6 "CUSTOM_FIELD_06" Text Sentence 80;
        custom_7 "CUSTOM_FIELD_07" Decimal Amount 60;
        custom_8 "CUSTOM_FIELD_08" Boolean Flag 5;
        custom_9 "CUSTOM_FIELD_09" Date Day 75;
        custom_10 "CUSTOM_FIELD_10" Text Word 70;
        custom_11 "CUSTOM_FIELD_11" Text Sentence 80;
        custom_12 "CUSTOM_FIELD_12" Decimal Amount 60;
        custom_13 "CUSTOM_FIELD_13" Boolean Flag 5;
        custom_14 "CUSTOM_FIELD_14" Date Day 75;
        custom_15 "CUSTOM_FIELD_15" Text Word 70;
        custom_16 "CUSTOM_FIELD_16" Text Sentence 80;
        custom_17 "CUSTOM_FIELD_17" Decimal Amount 60;
        custom_18 "CUSTOM_FIELD_18" Boolean Flag 5;
        custom_19 "CUSTOM_FIELD_19" Date Day 75;
        custom_20 "CUSTOM_FIELD_20" Text Word 70;
        custom_21 "CUSTOM_FIELD_21" Text Sentence 80;
        custom_22 "CUSTOM_FIELD_22" Decimal Amount 60;
        custom_23 "CUSTOM_FIELD_23" Boolean Flag 5;
        custom_24 "CUSTOM_FIELD_24" Date Day 75;
        custom_25 "CUSTOM_FIELD_25" Text Word 70;
        custom_26 "CUSTOM_FIELD_26" Text Sentence 80;
        custom_27 "CUSTOM_FIELD_27" Decimal Amount 60;
        custom_28 "CUSTOM_FIELD_28" Boolean Flag 5;
        custom_29 "CUSTOM_FIELD_29" Date Day 75;
        custom_30 "CUSTOM_FIELD_30" Text Word 70;
        custom_31 "CUSTOM_FIELD_31" Text Sentence 80;
        custom_32 "CUSTOM_FIELD_32" Decimal Amount 60;
        custom_33 "CUSTOM_FIELD_33" Boolean Flag 5;
        custom_34 "CUSTOM_FIELD_34" Date Day 75;
        custom_35 "CUSTOM_FIELD_35" Text Word 70;
        custom_36 "CUSTOM_FIELD_36" Text Sentence 80;
        custom_37 "CUSTOM_FIELD_37" Decimal Amount 60;
        custom_38 "CUSTOM_FIELD_38" Boolean Flag 5;
        custom_39 "CUSTOM_FIELD_39" Date Day 75;
        custom_40 "CUSTOM_FIELD_40" Text Word 70;
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
