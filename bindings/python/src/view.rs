//! The values of this process, as its own files have them.

use std::collections::HashMap;
use std::path::PathBuf;

use mmstats_observe::{FieldInfo, Observer, Sources, Total, Totals};

/// Where a field is: numbers of the file and of the field.
type Places = Vec<(usize, usize)>;

/// The files of this process, mapped once: a read of a field costs about a microsecond.
#[derive(Default)]
pub(crate) struct OwnView {
    paths: Vec<PathBuf>,
    observer: Option<Observer>,
    /// The fields by label. Empty after a change of the fields.
    fields: HashMap<String, Places>,
}

impl OwnView {
    /// The value of the field with this label and these attributes, over all threads; `None` if it is in no file.
    pub(crate) fn read(
        &mut self,
        paths: Vec<PathBuf>,
        label: &str,
        attributes: &[(String, String)],
    ) -> Option<Total> {
        if paths.is_empty() {
            return None;
        }
        if paths != self.paths {
            let sources = paths.iter().fold(Sources::new(), Sources::path);
            *self = Self { paths, observer: Some(Observer::new(sources)), ..Self::default() };
        }
        let found = self.find(label, attributes);
        if !found.is_empty() {
            return self.value(&found, label, attributes);
        }
        // It may be newer than the last look.
        self.look();
        let found = self.find(label, attributes);
        self.value(&found, label, attributes)
    }

    /// After a field was added or retired: its number may have been that of another one.
    pub(crate) fn forget(&mut self) {
        self.fields.clear();
    }

    fn look(&mut self) {
        self.fields.clear();
        let Some(observer) = &mut self.observer else { return };
        observer.refresh();
        for (number, file) in observer.files().iter().enumerate() {
            for (index, field) in file.fields().enumerate() {
                if !field.is_retired() && field.damage().is_none() {
                    let places = self.fields.entry(field.label().to_owned()).or_default();
                    places.push((number, index));
                }
            }
        }
    }

    fn find(&self, label: &str, attributes: &[(String, String)]) -> Places {
        let Some(observer) = &self.observer else { return Places::new() };
        let has_all = |&(file, index): &(usize, usize)| {
            let field = observer.files().get(file).and_then(|file| file.field(index));
            field.is_some_and(|field| {
                let has = |(key, value): &(String, String)| {
                    field.attributes().any(|(k, v)| k == key.as_str() && v == value.as_str())
                };
                attributes.iter().all(has) && field.attributes().count() == attributes.len()
            })
        };
        let places = self.fields.get(label).into_iter().flatten();
        places.copied().filter(has_all).collect()
    }

    fn value(
        &self,
        places: &Places,
        label: &str,
        attributes: &[(String, String)],
    ) -> Option<Total> {
        let observer = self.observer.as_ref()?;
        if let &[(number, index)] = &**places {
            let file = observer.files().get(number)?;
            let field = FieldInfo::from(&file.field(index)?);
            return Some(Total::new(field, file.value(index)));
        }
        // Threads have it in several files.
        let files = places.iter().filter_map(|&(number, _)| observer.files().get(number));
        let label = label.to_owned();
        let mut totals = Totals::filtered(move |field| *field.label() == *label);
        totals.update(files, None);
        totals.into_fields().into_iter().find(|total| {
            let found: Vec<(&str, &str)> = total.field.attributes().collect();
            attributes.iter().all(|(key, value)| found.contains(&(&**key, &**value)))
                && found.len() == attributes.len()
        })
    }
}
