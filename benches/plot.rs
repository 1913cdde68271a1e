//! Line charts as SVG, drawn with nothing but text: a few series over one axis each way, and a legend.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 72.0;
const BOTTOM: f64 = 58.0;
/// Told apart in grey as well: the first is the darkest.
const COLOURS: [&str; 3] = ["#1f5f8b", "#d08c3f", "#8aa07a"];
const STYLE: &str = "text{font-family:sans-serif;font-size:13px;fill:#333}\
    .title{font-size:16px}.small{fill:#666}.grid{stroke:#e4e4e4}.axis{stroke:#888}";

/// From the least to the most that is drawn, and where it is marked.
#[derive(Debug)]
pub struct Axis {
    /// What is shown along it.
    pub label: String,
    /// The least and the most.
    pub range: (f64, f64),
    /// Where it is marked, and how.
    pub marks: Vec<(f64, String)>,
}

/// A line.
#[derive(Debug)]
pub struct Series {
    /// What the legend calls it.
    pub name: String,
    /// From left to right.
    pub points: Vec<(f64, f64)>,
    /// Each point has a dot.
    pub dots: bool,
}

/// What is drawn.
#[derive(Debug)]
pub struct Chart {
    /// Stands above it.
    pub title: String,
    /// To the right.
    pub x: Axis,
    /// Upwards.
    pub y: Axis,
    /// The first lies on top.
    pub series: Vec<Series>,
}

impl Axis {
    /// From zero to a round number above the highest of these values, with six steps at most.
    pub fn from_zero(label: &str, values: impl Iterator<Item = f64>) -> Axis {
        let most = values.fold(f64::MIN_POSITIVE, f64::max);
        let magnitude = 10f64.powf((most / 5.0).log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * magnitude);
        let step = steps.into_iter().find(|step| most / step <= 6.0).unwrap_or(magnitude);
        let mut marks = vec![(0.0, "0".to_owned())];
        while marks.last().is_some_and(|(last, _)| *last < most) {
            let next = marks.len() as f64 * step;
            marks.push((next, text_of(next)));
        }
        let end = marks.last().map_or(most, |(last, _)| *last);
        Axis { label: label.to_owned(), range: (0.0, end), marks }
    }

    /// Where a value lies: 0 is the beginning, 1 the end.
    fn place(&self, value: f64) -> f64 {
        (value - self.range.0) / (self.range.1 - self.range.0)
    }
}

impl Chart {
    /// The whole picture.
    pub fn svg(&self) -> String {
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
             height=\"{HEIGHT}\" role=\"img\">\n<title>{}</title>\n<style>{STYLE}</style>\n",
            escaped(&self.title)
        );
        let mut line = |part: String| {
            text.push_str(&part);
            text.push('\n');
        };
        line(format!("<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>"));
        line(format!("<text class=\"title\" x=\"{LEFT}\" y=\"26\">{}</text>", escaped(&self.title)));
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for (value, mark) in &self.y.marks {
            let y = self.y_of(*value);
            line(format!("<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/>"));
            let (x, y) = (LEFT - 8.0, y + 4.0);
            line(format!("<text class=\"small\" x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\">{mark}</text>"));
        }
        for (value, mark) in &self.x.marks {
            let (x, y) = (self.x_of(*value), bottom + 19.0);
            line(format!("<text class=\"small\" x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{mark}</text>"));
        }
        line(format!("<line class=\"axis\" x1=\"{LEFT}\" y1=\"{bottom}\" x2=\"{right}\" y2=\"{bottom}\"/>"));
        let (middle, low) = (f64::midpoint(LEFT, right), HEIGHT - 16.0);
        line(format!("<text x=\"{middle}\" y=\"{low}\" text-anchor=\"middle\">{}</text>", escaped(&self.x.label)));
        let middle = f64::midpoint(TOP, bottom);
        line(format!(
            "<text transform=\"translate(15 {middle}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            escaped(&self.y.label)
        ));
        let mut legend = LEFT;
        for (series, colour) in self.series.iter().zip(COLOURS.iter().cycle()) {
            line(format!(
                "<line x1=\"{legend}\" y1=\"48\" x2=\"{}\" y2=\"48\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                legend + 22.0
            ));
            line(format!("<text x=\"{}\" y=\"52\">{}</text>", legend + 28.0, escaped(&series.name)));
            legend += 48.0 + 7.2 * series.name.chars().count() as f64;
        }
        // What is named first lies on top.
        let drawn: Vec<_> = self.series.iter().zip(COLOURS.iter().cycle()).collect();
        drawn.into_iter().rev().for_each(|(series, colour)| line(self.drawn(series, colour)));
        text.push_str("</svg>\n");
        text
    }

    fn drawn(&self, series: &Series, colour: &str) -> String {
        let places = series.points.iter().map(|(x, y)| (self.x_of(*x), self.y_of(*y)));
        let joined = places.clone().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ");
        let mut text = format!("<polyline points=\"{joined}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>");
        if series.dots {
            for ((x, y), (_, value)) in places.zip(&series.points) {
                let above = y - 9.0;
                // Infallible: it is a string.
                let _ = write!(
                    text,
                    "\n<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>\
                     \n<text x=\"{x:.1}\" y=\"{above:.1}\" text-anchor=\"middle\">{value:.2}</text>"
                );
            }
        }
        text
    }

    fn x_of(&self, value: f64) -> f64 {
        LEFT + self.x.place(value) * (WIDTH - RIGHT - LEFT)
    }

    fn y_of(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.place(value) * (HEIGHT - BOTTOM - TOP)
    }
}

/// Without needless decimals: 0.5, 20, 15,000.
fn text_of(value: f64) -> String {
    if value.fract().abs() > 1e-9 && value < 100.0 {
        let text = format!("{value:.2}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{value:.0}");
    digits.parse().map_or(digits, crate::number::grouped)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_mark_above_the_highest_value() {
        let marks = |most| {
            let axis = Axis::from_zero("x", [1.0, most].into_iter());
            (axis.range.1, axis.marks.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(marks(2.9), (3.0, "0 0.5 1 1.5 2 2.5 3".to_owned()));
        assert_eq!(marks(14_925.0), (15_000.0, "0 5,000 10,000 15,000".to_owned()));
    }

    #[test]
    fn points_lie_between_the_axes() {
        let axis = || Axis::from_zero("<x>", std::iter::once(10.0));
        let points = vec![(0.0, 0.0), (10.0, 10.0)];
        let series = vec![Series { name: "a & b".to_owned(), points, dots: true }];
        let svg = Chart { title: "t".to_owned(), x: axis(), y: axis(), series }.svg();
        assert!(svg.contains("points=\"76.0,322.0 696.0,72.0\""), "{svg}");
        assert!(svg.contains("&lt;x&gt;") && svg.contains("a &amp; b"), "{svg}");
    }
}
