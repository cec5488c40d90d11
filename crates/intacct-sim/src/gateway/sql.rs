//! The query text of `readByQuery`: a little SQL without joins and without order.

use super::answer::GatewayError;
use super::query::{Names, unknown_fields, unreadable};
use crate::select::{Condition, Operator, Path, Reading};

/// Reads a query text; an empty one takes everything.
pub(super) fn read<'a>(
    names: &Names<'_, 'a>,
    text: &str,
    reading: Reading,
) -> Result<Option<Condition<'a>>, GatewayError> {
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Ok(None);
    }
    let mut parser = Parser {
        names,
        reading,
        tokens,
        at: 0,
        depth: 0,
    };
    let condition = parser.either()?;
    if parser.at < parser.tokens.len() {
        return Err(parser.unexpected());
    }
    Ok(Some(condition))
}

/// How deep parentheses and negations may nest.
const DEEPEST: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Literal(String),
    Symbol(&'static str),
}

fn tokens(text: &str) -> Result<Vec<Token>, GatewayError> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        let token = match next {
            next if next.is_whitespace() => continue,
            '(' => Token::Symbol("("),
            ')' => Token::Symbol(")"),
            ',' => Token::Symbol(","),
            '=' => Token::Symbol("="),
            '<' if rest.next_if_eq(&'=').is_some() => Token::Symbol("<="),
            '<' if rest.next_if_eq(&'>').is_some() => Token::Symbol("!="),
            '<' => Token::Symbol("<"),
            '>' if rest.next_if_eq(&'=').is_some() => Token::Symbol(">="),
            '>' => Token::Symbol(">"),
            '!' if rest.next_if_eq(&'=').is_some() => Token::Symbol("!="),
            '\'' => {
                let mut literal = String::new();
                loop {
                    match rest.next() {
                        Some('\\') if rest.next_if_eq(&'\'').is_some() => literal.push('\''),
                        Some('\'') => break,
                        Some(other) => literal.push(other),
                        None => return Err(wrong("a quoted text does not end")),
                    }
                }
                Token::Literal(literal)
            }
            next if next.is_alphanumeric() || "_.-+".contains(next) => {
                let mut word = String::from(next);
                while let Some(more) =
                    rest.next_if(|more| more.is_alphanumeric() || "_.-/:".contains(*more))
                {
                    word.push(more);
                }
                Token::Word(word)
            }
            other => return Err(wrong(&format!("'{other}' is not understood"))),
        };
        tokens.push(token);
    }
    Ok(tokens)
}

fn wrong(text: &str) -> GatewayError {
    GatewayError::processing(format!("Error in the query: {text}"))
}

struct Parser<'n, 'o, 'a> {
    names: &'n Names<'o, 'a>,
    reading: Reading,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'_, '_, 'a> {
    fn either(&mut self) -> Result<Condition<'a>, GatewayError> {
        let mut any = vec![self.both()?];
        while self.take_word("or") {
            any.push(self.both()?);
        }
        Ok(if any.len() == 1 {
            any.remove(0)
        } else {
            Condition::Or(any)
        })
    }

    fn both(&mut self) -> Result<Condition<'a>, GatewayError> {
        let mut all = vec![self.one()?];
        while self.take_word("and") {
            all.push(self.one()?);
        }
        Ok(if all.len() == 1 {
            all.remove(0)
        } else {
            Condition::And(all)
        })
    }

    fn one(&mut self) -> Result<Condition<'a>, GatewayError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(wrong("it nests too deeply"));
        }
        let condition = if self.take_word("not") {
            self.one()?.negated()
        } else if self.take_symbol("(") {
            let inner = self.either()?;
            self.expect(")")?;
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn comparison(&mut self) -> Result<Condition<'a>, GatewayError> {
        let path = self.field()?;
        if self.take_word("is") {
            let negated = self.take_word("not");
            if !self.take_word("null") {
                return Err(self.unexpected());
            }
            return Ok(Condition::IsNull(path, !negated));
        }
        let negated = self.take_word("not");
        if self.take_word("like") {
            let pattern = self.literal()?;
            return Ok(Condition::Like(path, pattern, !negated));
        }
        if self.take_word("in") {
            self.expect("(")?;
            let mut list = Vec::new();
            loop {
                let text = self.literal()?;
                list.push(self.value(&path, &text)?);
                if !self.take_symbol(",") {
                    break;
                }
            }
            self.expect(")")?;
            return Ok(Condition::one_of(path, list, !negated));
        }
        let operator = match self.tokens.get(self.at) {
            Some(Token::Symbol("=")) => Operator::Equal,
            Some(Token::Symbol("!=")) => Operator::NotEqual,
            Some(Token::Symbol("<")) => Operator::Less,
            Some(Token::Symbol("<=")) => Operator::LessOrEqual,
            Some(Token::Symbol(">")) => Operator::Greater,
            Some(Token::Symbol(">=")) => Operator::GreaterOrEqual,
            _ => return Err(self.unexpected()),
        };
        if negated {
            return Err(self.unexpected());
        }
        self.at += 1;
        let text = self.literal()?;
        let literal = self.value(&path, &text)?;
        Ok(Condition::Compare(path, operator, literal))
    }

    fn field(&mut self) -> Result<Path<'a>, GatewayError> {
        let Some(Token::Word(name)) = self.tokens.get(self.at).cloned() else {
            return Err(self.unexpected());
        };
        self.at += 1;
        let object = self.names.object;
        // There are no joins here: fields of related records are out of reach.
        object
            .find(&name)
            .or_else(|| object.find(&name.to_uppercase()))
            .and_then(|field| self.names.find(&object.field(field).name))
            .ok_or_else(|| unknown_fields(object.name(), &[&name]))
    }

    fn literal(&mut self) -> Result<String, GatewayError> {
        match self.tokens.get(self.at) {
            Some(Token::Literal(text)) => {
                let text = text.clone();
                self.at += 1;
                Ok(text)
            }
            // Numbers need no quotes.
            Some(Token::Word(word))
                if word.starts_with(|c: char| c.is_ascii_digit() || "-+.".contains(c)) =>
            {
                let word = word.clone();
                self.at += 1;
                Ok(word)
            }
            _ => Err(self.unexpected()),
        }
    }

    fn value(
        &self,
        path: &Path<'a>,
        text: &str,
    ) -> Result<crate::value::Comparable<'static>, GatewayError> {
        self.reading
            .literal(path, text)
            .ok_or_else(|| unreadable(path, text))
    }

    fn take_word(&mut self, wanted: &str) -> bool {
        let here = matches!(
            self.tokens.get(self.at),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case(wanted)
        );
        self.at += usize::from(here);
        here
    }

    fn take_symbol(&mut self, wanted: &str) -> bool {
        let here =
            matches!(self.tokens.get(self.at), Some(Token::Symbol(found)) if *found == wanted);
        self.at += usize::from(here);
        here
    }

    fn expect(&mut self, wanted: &str) -> Result<(), GatewayError> {
        if self.take_symbol(wanted) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    fn unexpected(&self) -> GatewayError {
        wrong(&match self.tokens.get(self.at) {
            None => "it ends too early".to_owned(),
            Some(Token::Word(word)) => format!("'{word}' was not expected"),
            Some(Token::Literal(_)) => "a quoted text was not expected".to_owned(),
            Some(Token::Symbol(symbol)) => format!("'{symbol}' was not expected"),
        })
    }
}
