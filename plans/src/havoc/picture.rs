//! A run as a picture: when writes and reads were answered, what each member did, and when what was killed. Plain SVG, read by
//! every browser, without scripts, fonts or links.

use super::record::{Lane, Record, Sample, State, Window, gaps, seconds};
use super::report::{SEEN_FROM, killed, xml};
use std::fmt::Write as _;

/// The picture's measures, in pixels.
const WIDTH: u64 = 960;
const LEFT: u64 = 150;
const RIGHT: u64 = 20;
const TOP: u64 = 74;
const ROW: u64 = 24;
const BAR: u64 = 16;
const PLOT: u64 = WIDTH - LEFT - RIGHT;

/// Characters of a row's label.
const LABEL: usize = 18;

const OK: &str = "#2e8b57";
const BAD: &str = "#d73a49";
const LEADS: &str = "#1f4e9c";
const FOLLOWS: &str = "#7fa8e0";
const WAITS: &str = "#e8b84a";
const GONE: &str = "#d0d4da";
const INK: &str = "#24292f";
const FAINT: &str = "#6a737d";

/// Steps between two times on the axis, in seconds.
const STEPS: [u64; 12] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];

struct Canvas {
    out: String,
    /// Milliseconds over the whole width.
    span: u64,
}

impl Canvas {
    fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    /// Tenths of pixels: enough, and the same on every machine.
    fn x(&self, at: u64) -> String {
        tenths(LEFT * 10 + at.min(self.span).saturating_mul(PLOT * 10) / self.span)
    }

    fn bar(&mut self, y: u64, (from, to): (u64, u64), color: &str, title: &str) {
        let width = tenths((to.saturating_sub(from)).saturating_mul(PLOT * 10) / self.span);
        let (x, title) = (self.x(from), xml(title));
        self.line(&format!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BAR}\" fill=\"{color}\"><title>{title}</title></rect>"
        ));
    }

    fn text(&mut self, (x, y): (&str, u64), anchor: &str, color: &str, text: &str) {
        let text = xml(text);
        self.line(&format!(
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" fill=\"{color}\">{text}</text>"
        ));
    }

    /// What a row is; a name that is too long is cut, and whole in the titles of its bars.
    fn label(&mut self, row: u64, text: &str) {
        let cut: String = match text.char_indices().nth(LABEL) {
            Some((at, _)) => format!("{}…", text.get(..at).unwrap_or(text)),
            None => text.to_owned(),
        };
        self.text((&(LEFT - 8).to_string(), row + 12), "end", INK, &cut);
    }

    fn service(&mut self, row: u64, name: &str, samples: &[Sample]) {
        self.label(row, name);
        let (Some(first), end) = (samples.first(), self.span) else { return };
        self.bar(row, (first.at, end), OK, &format!("{name} are answered"));
        for Window { from, to } in gaps(samples, end) {
            let title = format!("no {name} for {}", seconds(to - from));
            // A gap too short for a pixel is still to be seen.
            let least = self.span / PLOT;
            self.bar(row, (from, to.max(from + least)), BAD, &title);
        }
    }

    fn member(&mut self, row: u64, host: &str, lane: &Lane) {
        self.label(row, host);
        let ends = lane.iter().skip(1).map(|(at, _)| *at).chain([self.span]).collect::<Vec<_>>();
        for ((from, state), to) in lane.iter().zip(ends) {
            let (color, word) = look(*state);
            let title = format!("{host} {word} for {}", seconds(to.saturating_sub(*from)));
            self.bar(row, (*from, to), color, &title);
        }
    }
}

const fn look(state: State) -> (&'static str, &'static str) {
    match state {
        State::Leads => (LEADS, "leads"),
        State::Follows => (FOLLOWS, "follows"),
        State::Waits => (WAITS, "does not serve"),
        State::Gone => (GONE, "is gone"),
    }
}

fn tenths(value: u64) -> String {
    format!("{}.{}", value / 10, value % 10)
}

/// The picture, as an SVG document.
#[must_use]
pub fn svg(record: &Record) -> String {
    let rows = 2 + record.members.len() as u64;
    let bottom = TOP + rows * ROW + 8;
    let height = bottom + 74;
    let mut canvas = Canvas { out: String::new(), span: record.took.max(1) };
    let title = format!("Havoc on {}: availability over {}", record.ensemble, seconds(record.took));
    canvas.line(&format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         role=\"img\" font-family=\"sans-serif\" font-size=\"12\">"
    ));
    canvas.line(&format!("<title>{}</title>", xml(&title)));
    canvas.line(&format!("<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>"));
    canvas.line(&format!(
        "<text x=\"16\" y=\"26\" font-size=\"16\" font-weight=\"bold\" fill=\"{INK}\">{}</text>",
        xml(&title)
    ));
    axis(&mut canvas, bottom);
    canvas.service(TOP, "writes", &record.writes);
    canvas.service(TOP + ROW, "reads", &record.reads);
    for (number, (host, lane)) in (2..).zip(&record.members) {
        canvas.member(TOP + number * ROW, host, lane);
    }
    strikes(&mut canvas, record, bottom);
    legend(&mut canvas, bottom + 46);
    canvas.text(("16", bottom + 66), "start", FAINT, &format!("Writes and reads {SEEN_FROM}."));
    canvas.line("</svg>");
    canvas.out
}

/// Times below, a faint line up from each.
fn axis(canvas: &mut Canvas, bottom: u64) {
    let whole = canvas.span / 1000;
    let step = STEPS.into_iter().find(|step| whole / step <= 12).unwrap_or(whole / 12 + 1);
    for second in (0..=whole).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
        let x = canvas.x(second * 1000);
        canvas
            .line(&format!("<line x1=\"{x}\" y1=\"{TOP}\" x2=\"{x}\" y2=\"{bottom}\" stroke=\"#eaecef\"/>"));
        let time = if step < 60 { format!("{second} s") } else { format!("{} min", second / 60) };
        canvas.text((&x, bottom + 16), "middle", FAINT, &time);
    }
}

/// A dashed line for each strike, numbered by its round above; what was killed is its title.
fn strikes(canvas: &mut Canvas, record: &Record, bottom: u64) {
    for strike in &record.strikes {
        let x = canvas.x(strike.at);
        let title = xml(&format!("round {}: {}", strike.round, killed(strike)));
        let mut mark = String::new();
        // Writing to a string cannot fail.
        let _ = write!(
            mark,
            "<g><title>{title}</title><line x1=\"{x}\" y1=\"{}\" x2=\"{x}\" y2=\"{bottom}\" stroke=\"{INK}\" \
             stroke-dasharray=\"4 3\"/><circle cx=\"{x}\" cy=\"{}\" r=\"9\" fill=\"{INK}\"/><text x=\"{x}\" y=\"{}\" \
             text-anchor=\"middle\" fill=\"#ffffff\" font-size=\"11\">{}</text></g>",
            TOP - 12,
            TOP - 20,
            TOP - 16,
            strike.round
        );
        canvas.line(&mark);
    }
}

fn legend(canvas: &mut Canvas, y: u64) {
    let entries = [
        (OK, "answered"),
        (BAD, "not answered"),
        (LEADS, "leads"),
        (FOLLOWS, "follows"),
        (WAITS, "does not serve"),
        (GONE, "gone"),
    ];
    let mut x = 16;
    for (color, word) in entries {
        canvas
            .line(&format!("<rect x=\"{x}\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{color}\"/>", y - 10));
        canvas.text((&(x + 18).to_string(), y), "start", INK, word);
        x += 40 + 7 * word.len() as u64;
    }
    canvas.text((&x.to_string(), y), "start", INK, "dashed: a kill, with its round");
}
