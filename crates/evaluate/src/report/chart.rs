//! Curves as drawings on the page.

use maud::{Markup, html};

use super::Curve;

/// Of the drawing, without units: the page scales it.
const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 210.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 24.0;

/// Colours of the style sheet.
const COLOURS: usize = 8;

/// A line for each name over the steps of the training.
pub(super) fn chart(title: &str, lines: &[(usize, &str, Curve)]) -> Markup {
    let points = || lines.iter().flat_map(|(.., curve)| curve);
    let (Some(x), Some(y)) = (range(points().map(|p| p[0])), range(points().map(|p| p[1]))) else {
        return html! {};
    };
    let y = wider(y);
    let across =
        |v: f64| LEFT + (v - x.0) / (x.1 - x.0).max(f64::MIN_POSITIVE) * (WIDTH - LEFT - RIGHT);
    let down = |v: f64| HEIGHT - BOTTOM - (v - y.0) / (y.1 - y.0) * (HEIGHT - BOTTOM - TOP);
    let path = |curve: &Curve| {
        let point = |p: &[f64; 2]| format!("{:.1},{:.1}", across(p[0]), down(p[1]));
        curve.iter().map(point).collect::<Vec<_>>().join(" ")
    };
    html! {
        figure.chart {
            figcaption { (title) }
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(title) {
                @for tick in ticks(y, 4) {
                    line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(one(down(tick))) y2=(one(down(tick))) {}
                    text x=(LEFT - 5.0) y=(one(down(tick) + 3.5)) text-anchor="end" { (short(tick)) }
                }
                @for tick in ticks(x, 4) {
                    text x=(one(across(tick))) y=(HEIGHT - 8.0) text-anchor="middle" { (short(tick)) }
                }
                @for (colour, _, curve) in lines {
                    polyline class=(class(*colour)) points=(path(curve)) {}
                }
            }
            ul.legend {
                @for (colour, name, curve) in lines {
                    li { span class=(class(*colour)) {} (name)
                        @if let Some(last) = curve.last() { " " small { (short(last[1])) } }
                    }
                }
            }
        }
    }
}

fn class(colour: usize) -> String {
    let dashed = if colour >= COLOURS { " dashed" } else { "" };
    format!("s{}{dashed}", colour % COLOURS)
}

fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|v| v.is_finite()).fold(None, |range, v| match range {
        None => Some((v, v)),
        Some((low, high)) => Some((f64::min(low, v), f64::max(high, v))),
    })
}

/// Some room above and below, and some height for a constant.
fn wider((low, high): (f64, f64)) -> (f64, f64) {
    let room = match high > low {
        true => 0.04 * (high - low),
        false => high.abs().max(1.0) * 0.1,
    };
    (low - room, high + room)
}

/// Round values within a range, about so many.
fn ticks((low, high): (f64, f64), count: usize) -> Vec<f64> {
    let rough = (high - low) / count as f64;
    if rough <= 0.0 {
        return vec![low];
    }
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|s| s * power).into_iter().find(|s| *s >= rough);
    let step = step.unwrap_or(10.0 * power);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last).map(|i| i as f64 * step).collect()
}

fn one(value: f64) -> String {
    format!("{value:.1}")
}

/// Three digits that matter.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        0.0 | 100.0.. => return format!("{value:.0}"),
        10.0.. => 1,
        0.1.. => 3,
        1e-4.. => 5,
        _ => return format!("{value:.1e}"),
    };
    format!("{value:.digits$}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks((1.0, 800.0), 4), [200.0, 400.0, 600.0, 800.0]);
        assert_eq!(ticks((3.0, 3.0), 4), [3.0]);
        let all = ticks((-0.013, 0.021), 4);
        assert!(all.contains(&0.0) && all.len() >= 3, "{all:?}");
    }

    #[test]
    fn numbers_are_short() {
        let all = [0.0, 800.0, -10.0, 12.34, 0.5, 0.1234, 0.00012, 3e-7].map(short);
        assert_eq!(all, ["0", "800", "-10", "12.3", "0.5", "0.123", "0.00012", "3.0e-7"]);
    }

    #[test]
    fn every_line_has_its_points_and_its_name() {
        let curve = |to: f64| vec![[1.0, 0.0], [10.0, to]];
        let lines = [(0, "a <b>", curve(1.0)), (9, "c", curve(2.0))];
        let drawn = chart("loss", &lines).into_string();
        assert_eq!(drawn.matches("<polyline").count(), 2);
        assert!(drawn.contains("a &lt;b&gt;") && drawn.contains("s1 dashed"), "{drawn}");
        assert_eq!(chart("loss", &[(0, "a", Vec::new())]).into_string(), "");
        assert!(!chart("flat", &[(0, "a", vec![[1.0, 3.0]])]).into_string().contains("NaN"));
    }
}
