//! Problems as rustc prints them: the message, the place with its marked source, and the way out.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Patch, Renderer, Snippet};

use crate::commands::Problems;
use crate::diagnostic::{Files, Place, Problem, Severity};

use super::human;

/// All problems, each followed by an empty line.
pub(super) fn problems(problems: &Problems, color: bool, width: usize) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(width);
    let mut out = String::new();
    for p in &problems.list {
        out.push_str(&problem(p, &problems.files, &renderer));
        out.push_str("\n\n");
    }
    out
}

fn problem(problem: &Problem, files: &Files, renderer: &Renderer) -> String {
    let level = match problem.code.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut main = level.primary_title(shown(&problem.message)).id(problem.code.name).elements([] as [Origin<'_>; 0]);
    // A lone place comes first; further places are shown each with its own lines.
    let places = problem.place.iter().map(|p| (p, None));
    let places = places.chain(problem.labels.iter().map(|l| (&l.place, Some(l.text.as_str()))));
    for (i, (place, text)) in places.enumerate() {
        let source = Excerpt::of(files, place);
        let file = files.get(place.file);
        let at = file.position(place.span.start);
        let origin = Origin::path(shown(&file.name)).line(at.line as usize).char_column(at.column as usize);
        if !file.read {
            main = main.element(Origin::path(shown(&file.name)));
            continue;
        }
        let kind = if i == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
        let mark = kind.span(source.mark()).label(text.map(shown));
        let snippet = Snippet::source(source.text()).line_start(at.line as usize).annotation(mark);
        // The renderer counts columns in what it is given; where that is not the line as it is, they are told to it.
        main = if source.faithful {
            main.element(snippet.path(shown(&file.name)))
        } else {
            main.element(origin).element(snippet)
        };
    }
    let mut groups = Vec::new();
    match (&problem.help, &problem.fix, &problem.place) {
        (help, Some(fix), Some(place)) => {
            let source = Excerpt::of(files, place);
            let line = files.get(place.file).position(place.span.start).line as usize;
            let title = help.as_deref().map_or_else(|| "write this instead".to_owned(), shown);
            groups.push(main);
            groups.push(
                Group::with_title(Level::HELP.secondary_title(title)).element(
                    Snippet::source(source.text()).line_start(line).patch(Patch::new(source.mark(), shown(fix))),
                ),
            );
        }
        (Some(help), ..) => groups.push(main.element(Level::HELP.message(shown(help)))),
        (None, ..) => groups.push(main),
    }
    let rendered = renderer.render(&groups);
    // Between a place that is told and its source the renderer leaves an empty mark of a further file.
    let lines = rendered.split_inclusive('\n');
    lines.filter(|l| anstream::adapter::strip_str(l).to_string().trim() != ":::").collect()
}

/// So many bytes before and after what is marked are shown of a long line.
const AROUND: usize = 200;

/// The line in which a place starts, cut to what is near it, with the mark inside of it.
struct Excerpt {
    before: String,
    marked: String,
    after: String,
    /// Whether the text before the mark is the line's own.
    faithful: bool,
}

impl Excerpt {
    fn of(files: &Files, place: &Place) -> Self {
        let file = files.get(place.file);
        let (start, line) = file.line(file.position(place.span.start).line);
        let inside = |offset: usize| offset.saturating_sub(start).min(line.len());
        let (from, to) = (inside(place.span.start), inside(place.span.end.max(place.span.start)));
        let (first, last) = (from.saturating_sub(AROUND), (to.min(from + AROUND) + AROUND).min(line.len()));
        let to = to.min(last);
        let ellipsis = |cut: bool| if cut { "…" } else { "" };
        let before = format!("{}{}", ellipsis(first > 0), text(&line[first..from]));
        Self {
            faithful: before.as_bytes() == &line[..from],
            before,
            marked: text(&line[from..to]),
            after: format!("{}{}", text(&line[to..last]), ellipsis(last < line.len())),
        }
    }

    fn text(&self) -> String {
        format!("{}{}{}", self.before, self.marked, self.after)
    }

    fn mark(&self) -> std::ops::Range<usize> {
        self.before.len()..self.before.len() + self.marked.len()
    }
}

/// Bytes of a source line as text that cannot command a terminal. Tabs stay; the renderer knows their width.
fn text(bytes: &[u8]) -> String {
    let mut out = String::new();
    for part in String::from_utf8_lossy(bytes).split_inclusive('\t') {
        human::visible(&mut out, part.trim_end_matches('\t'));
        if part.ends_with('\t') {
            out.push('\t');
        }
    }
    out
}

/// The text of a message, on one line.
fn shown(text: &str) -> String {
    let mut out = String::new();
    human::visible(&mut out, text);
    out
}
