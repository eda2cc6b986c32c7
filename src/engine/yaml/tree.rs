//! Parser events to a tree of values with places, within limits.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_json::Value;

use super::error::{YamlError, YamlProblem};
use super::{MAX_DEPTH, MAX_NODES, scalar, text};
use crate::engine::arguments::Place;

/// A value and where it starts.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// What it is.
    pub(super) content: Content,
    /// Line, counted from 1.
    pub(super) line: usize,
    /// Column, counted from 1.
    pub(super) column: usize,
    /// Values in it, itself included: what an alias to it costs.
    nodes: usize,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// A scalar with its type, and its text as written.
    Scalar(Value, String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in order.
    Map(Vec<Entry>),
}

/// One entry of a mapping.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The key's text.
    pub(super) key: String,
    /// The key's type: flags must be text.
    pub(super) key_value: Value,
    /// Line of the key.
    pub(super) line: usize,
    /// Column of the key.
    pub(super) column: usize,
    /// The value.
    pub(super) value: Node,
}

impl Node {
    /// The kind in words, for messages.
    pub(super) const fn kind(&self) -> &'static str {
        match &self.content {
            Content::Scalar(Value::Null, _) => "empty",
            Content::Scalar(..) => "a single value",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        }
    }

    /// The value without places.
    pub(super) fn into_json(self) -> Value {
        match self.content {
            Content::Scalar(value, _) => value,
            Content::List(items) => items.into_iter().map(Self::into_json).collect(),
            Content::Map(entries) => Value::Object(entries.into_iter().map(|entry| (entry.key, entry.value.into_json())).collect()),
        }
    }
}

/// The documents of `source`, in order.
pub(super) fn documents(source: &str, file: &str) -> Result<Vec<Node>, YamlError> {
    let mut builder = Builder { file, documents: Vec::new(), open: Vec::new(), anchors: HashMap::new(), nodes: 0 };
    let mut opaque = Vec::new();
    for event in Parser::new_from_str(source) {
        let (event, span) = event.map_err(|error| text::syntax_error(source, file, &error))?;
        if let Event::Scalar(_, style, ..) = &event
            && *style != ScalarStyle::Plain
        {
            opaque.push(span.start.index()..span.end.index());
        }
        builder.take(event, span)?;
    }
    text::refuse_tabs(source, file, &opaque)?;
    Ok(builder.documents)
}

struct Builder<'a> {
    file: &'a str,
    documents: Vec<Node>,
    open: Vec<Open>,
    /// Finished anchored nodes; `None` while a node is still being read.
    anchors: HashMap<usize, Option<Node>>,
    nodes: usize,
}

/// A collection that is still being read.
struct Open {
    span: Span,
    anchor: usize,
    nodes: usize,
    items: Items,
}

enum Items {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, lines: HashMap<String, usize>, merged: Vec<Entry>, key: Option<Key> },
}

struct Key {
    text: String,
    value: Value,
    merges: bool,
    line: usize,
    column: usize,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = self.scalar(&text, style, tag.as_deref(), span)?;
                let merges = style == ScalarStyle::Plain && text == "<<" && tag.is_none();
                let node = self.node(Content::Scalar(value, text.into_owned()), span, 1);
                self.finish(node, anchor, merges)
            }
            Event::Alias(anchor) => {
                let node = match self.anchors.get(&anchor) {
                    Some(Some(node)) => Node { line: span.start.line(), column: span.start.col() + 1, ..node.clone() },
                    _ => return Err(self.error(span, YamlProblem::AliasToItself)),
                };
                self.count(node.nodes, span)?;
                self.finish(node, 0, false)
            }
            Event::SequenceStart(anchor, tag) => self.start(Items::List(Vec::new()), anchor, tag.as_deref(), span),
            Event::MappingStart(anchor, tag) => {
                let items = Items::Map { entries: Vec::new(), lines: HashMap::new(), merged: Vec::new(), key: None };
                self.start(items, anchor, tag.as_deref(), span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => Ok(()),
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Result<Value, YamlError> {
        self.count(1, span)?;
        match tag {
            Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => Ok(Value::from(text)),
            Some(tag) => Err(self.error(span, YamlProblem::Tag(written(tag)))),
            None if style == ScalarStyle::Plain => Ok(scalar::plain(text)),
            None => Ok(Value::from(text)),
        }
    }

    fn start(&mut self, items: Items, anchor: usize, tag: Option<&Tag>, span: Span) -> Result<(), YamlError> {
        self.count(1, span)?;
        if let Some(tag) = tag {
            return Err(self.error(span, YamlProblem::Tag(written(tag))));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(self.error(span, YamlProblem::TooDeep));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, None);
        }
        self.open.push(Open { span, anchor, nodes: 1, items });
        Ok(())
    }

    fn end(&mut self) -> Result<(), YamlError> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let content = match open.items {
            Items::List(items) => Content::List(items),
            Items::Map { mut entries, lines, merged, .. } => {
                let mut seen = lines;
                for entry in merged {
                    if !seen.contains_key(&entry.key) {
                        seen.insert(entry.key.clone(), entry.line);
                        entries.push(entry);
                    }
                }
                Content::Map(entries)
            }
        };
        let node = self.node(content, open.span, open.nodes);
        self.finish(node, open.anchor, false)
    }

    /// Puts a finished node where it belongs.
    fn finish(&mut self, node: Node, anchor: usize, merges: bool) -> Result<(), YamlError> {
        if anchor > 0 {
            self.anchors.insert(anchor, Some(node.clone()));
        }
        let file = self.file;
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        open.nodes += node.nodes;
        match &mut open.items {
            Items::List(items) => items.push(node),
            Items::Map { entries, lines, merged, key } => match key.take() {
                None => *key = Some(read_key(file, node, lines, merges)?),
                Some(key) if key.merges => merged.extend(merge(file, node)?),
                Some(key) => {
                    lines.insert(key.text.clone(), key.line);
                    entries.push(Entry { key: key.text, key_value: key.value, line: key.line, column: key.column, value: node });
                }
            },
        }
        Ok(())
    }

    fn node(&self, content: Content, span: Span, nodes: usize) -> Node {
        Node { content, line: span.start.line(), column: span.start.col() + 1, nodes }
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), YamlError> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES { Err(self.error(span, YamlProblem::TooManyNodes)) } else { Ok(()) }
    }

    fn error(&self, span: Span, problem: YamlProblem) -> YamlError {
        error(self.file, span.start.line(), span.start.col() + 1, problem)
    }
}

fn read_key(file: &str, node: Node, lines: &HashMap<String, usize>, merges: bool) -> Result<Key, YamlError> {
    let (line, column) = (node.line, node.column);
    let kind = node.kind();
    let Content::Scalar(value, text) = node.content else {
        return Err(error(file, line, column, YamlProblem::KeyNotScalar(kind)));
    };
    if let Some(&first) = lines.get(&text) {
        return Err(error(file, line, column, YamlProblem::DuplicateKey { key: text, first }));
    }
    Ok(Key { text, value, merges, line, column })
}

/// The entries that `<<` brings in: of one mapping, or of a list of them, where the first to name a key wins.
fn merge(file: &str, node: Node) -> Result<Vec<Entry>, YamlError> {
    let (line, column, kind) = (node.line, node.column, node.kind());
    let refused = |kind| error(file, line, column, YamlProblem::MergeOfOther(kind));
    match node.content {
        Content::Map(entries) => Ok(entries),
        Content::List(items) => {
            let mut all = Vec::new();
            for item in items {
                let kind = item.kind();
                let Content::Map(entries) = item.content else { return Err(refused(kind)) };
                all.extend(entries);
            }
            Ok(all)
        }
        Content::Scalar(..) => Err(refused(kind)),
    }
}

pub(super) fn error(file: &str, line: usize, column: usize, problem: YamlProblem) -> YamlError {
    YamlError { place: Place { file: file.to_owned(), line, column }, problem }
}

fn written(tag: &Tag) -> String {
    if tag.is_yaml_core_schema() { format!("!!{}", tag.suffix) } else { tag.to_string() }
}
