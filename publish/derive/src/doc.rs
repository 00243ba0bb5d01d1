//! The help of a field from its doc comment.

use syn::{Attribute, Error, Expr, ExprLit, Lit, LitStr, Meta};

/// The doc comment as one text: lines joined by spaces, paragraphs by line breaks.
///
/// # Errors
///
/// If a macro makes a part of it: the derive sees no text of a macro.
pub(crate) fn help(attributes: &[Attribute]) -> syn::Result<Option<LitStr>> {
    let mut text = String::new();
    let mut span = None;
    for attribute in attributes.iter().filter(|a| a.path().is_ident("doc")) {
        let Meta::NameValue(meta) = &attribute.meta else { continue };
        let Expr::Lit(ExprLit { lit: Lit::Str(part), .. }) = without_group(&meta.value) else {
            return Err(Error::new_spanned(
                &meta.value,
                "a doc comment made by a macro cannot be the help: \
                 give the same expression as `#[stats(help = ...)]`",
            ));
        };
        span.get_or_insert(part.span());
        append(&mut text, &part.value());
    }
    let text = text.trim_end();
    Ok(span.filter(|_| !text.is_empty()).map(|span| LitStr::new(text, span)))
}

/// The expression without the invisible groups that `macro_rules` adds to its arguments.
fn without_group(mut value: &Expr) -> &Expr {
    while let Expr::Group(group) = value {
        value = &group.expr;
    }
    value
}

fn append(text: &mut String, part: &str) {
    let starred = is_starred(part);
    for (i, line) in part.split('\n').enumerate() {
        let mut line = line.trim();
        if starred && i > 0 {
            line = line.strip_prefix('*').unwrap_or(line).trim_start();
        }
        let begins = text.is_empty() || text.ends_with('\n');
        match (line.is_empty(), begins) {
            (true, true) => {}
            (true, false) => text.push('\n'),
            (false, true) => text.push_str(line),
            (false, false) => {
                text.push(' ');
                text.push_str(line);
            }
        }
    }
}

/// Whether `part` is a block comment whose further lines all begin with a star.
fn is_starred(part: &str) -> bool {
    let further = part.lines().skip(1).map(str::trim).filter(|line| !line.is_empty());
    let mut further = further.peekable();
    further.peek().is_some() && further.all(|line| line.starts_with('*'))
}

#[cfg(test)]
mod tests {
    use super::help;

    fn text(field: &syn::Field) -> String {
        help(&field.attrs).unwrap().map_or_else(String::new, |text| text.value())
    }

    #[test]
    fn help_line_comments_joined_by_paragraph() {
        let field = syn::parse_quote! {
            /// One,
            /// two.
            ///
            ///
            /// Three.
            ///
            x: Counter
        };
        assert_eq!(text(&field), "One, two.\nThree.");
    }

    #[test]
    fn help_block_comment_without_stars() {
        let field = syn::parse_quote! {
            /** One,
             * two.
             *
             * Three. */
            x: Counter
        };
        assert_eq!(text(&field), "One, two.\nThree.");
        let field = syn::parse_quote! {
            /**
             * One.
             */
            x: Counter
        };
        assert_eq!(text(&field), "One.");
    }

    #[test]
    fn help_stars_of_a_list_kept() {
        let field = syn::parse_quote! {
            /// Either
            /// * one
            x: Counter
        };
        assert_eq!(text(&field), "Either * one");
        let field = syn::parse_quote! {
            /**
            Either
            * one
            */
            x: Counter
        };
        assert_eq!(text(&field), "Either * one");
    }

    #[test]
    fn help_made_by_a_macro_refused() {
        let field: syn::Field = syn::parse_quote! {
            #[doc = concat!("a", "b")]
            x: Counter
        };
        let error = help(&field.attrs).err().unwrap().to_string();
        assert!(error.contains("#[stats(help = ...)]"), "{error}");
    }
}
