//! Making and dropping indexes inside a transaction: what is there already is indexed in the
//! same commit. Definitions are truth, entries derived.

use cairndb::keys::Range;

use super::GraphTx;
use crate::index::{Definitions, Target};
use crate::key::{self, property_prefix};
use crate::read::{vertices_with_label, walk_side};
use crate::record::decode_edge;
use crate::source::Source;
use crate::{Edge, Error, Label, Result, StorageKey, VertexId};

impl GraphTx<'_> {
    /// Indexes a property of everything with a label, what is there already included; says
    /// whether the index is new.
    ///
    /// # Errors
    /// [`Error::Limit`], [`Error::Invalid`]; the engine's.
    pub fn create_index(&mut self, target: Target, label: &str, property: &str) -> Result<bool> {
        let label = Label::new(label)?;
        let mut definitions = self.definitions()?;
        if definitions.find(target, &label, property).is_some() {
            return Ok(false);
        }
        let new = definitions.add(target, label.clone(), property)?;
        self.put(StorageKey::Definitions.encode(), definitions.encode());
        self.definitions = Some(definitions);
        let only = Definitions::only(new);
        match target {
            Target::Vertex => {
                for id in vertices_with_label(&mut self.source(), &label, usize::MAX)? {
                    let missing = Error::NoVertex { id };
                    let vertex = self.vertex(id)?.ok_or(missing)?;
                    for key in only.keys_of_vertex(&vertex).split_off(vertex.labels.len()) {
                        self.put(key, Vec::new());
                    }
                }
            }
            Target::Edge => self.index_edges(&only, &label)?,
        }
        Ok(true)
    }

    fn index_edges(&mut self, only: &Definitions, label: &Label) -> Result<()> {
        let mut ids: Vec<VertexId> = Vec::new();
        self.source().walk(Range::prefix(vec![key::VERTEX]), &mut |key, _| {
            if let StorageKey::Vertex(id) = StorageKey::decode(key)? {
                ids.push(id);
            }
            Ok(true)
        })?;
        for src in ids {
            let mut keys = Vec::new();
            let (mut source, side) = (self.source(), crate::chunk::Side::Out);
            walk_side(&mut source, src, side, Some(label), &mut |found, record| {
                let props = decode_edge(&record)?;
                let (id, dst, label) = (found.edge, found.vertex, found.label);
                keys.extend(only.keys_of_edge(&Edge { id, src, dst, label, props }));
                Ok(true)
            })?;
            keys.into_iter().for_each(|key| self.put(key, Vec::new()));
        }
        Ok(())
    }

    /// Drops an index with all its entries; says whether there was one.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a text that can be no label; the engine's.
    pub fn drop_index(&mut self, target: Target, label: &str, property: &str) -> Result<bool> {
        let mut definitions = self.definitions()?;
        let found = definitions.find(target, &Label::new(label)?, property);
        let Some(number) = found.map(|definition| definition.number) else { return Ok(false) };
        definitions.remove(number);
        self.put(StorageKey::Definitions.encode(), definitions.encode());
        self.definitions = Some(definitions);
        self.delete_range(Range::prefix(property_prefix(number, None)))?;
        Ok(true)
    }
}
