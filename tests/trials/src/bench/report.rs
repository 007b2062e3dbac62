//! What was measured as tables, pictures and raw numbers.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use plotters::coord::Shift;
use plotters::coord::ranged1d::Ranged;
use plotters::prelude::*;

use super::programs::{C, PAIRS, PORT, Pair, QUANTITIES, WHO};
use super::transports::{EMPTY, FUTEX, ONE_WAY, ROUND_TRIP, SIZES, TRANSPORTS, UDP};
use super::{Figures, Spread, What, growth, programs, transports};

/// Colours that people who do not see all of them can tell apart.
const COLOURS: [u32; 9] = [0x0072b2, 0xd55e00, 0x009e73, 0xcc79a7, 0x785ef0, 0x56b4e9, 0xe69f00, 0x6e6e6e, 0x000000];

const FONT: &str = "sans-serif";

fn rgb(colour: u32) -> RGBColor {
    let [_, red, green, blue] = colour.to_be_bytes();
    RGBColor(red, green, blue)
}

fn number(value: f64) -> String {
    format!("{value:.*}", if value >= 100. || value == 0. { 0 } else { 2 - usize::from(value >= 10.) })
}

/// A line of a table.
fn row(first: &str, cells: impl IntoIterator<Item = impl Display>) -> String {
    format!("| {first}{} |\n", cells.into_iter().map(|cell| format!(" | {cell}")).collect::<String>())
}

fn table(head: &str, rows: impl IntoIterator<Item = String>) -> String {
    format!("{head}|---|{}\n{}\n", "--:|".repeat(head.matches(" | ").count()), rows.into_iter().collect::<String>())
}

impl Figures {
    fn spread(&self, what: &What) -> Option<Spread> {
        self.get(what).map(|values| Spread::of(values.to_vec()))
    }

    /// `12.3`, or with the ratio to another: `12.3: 1.05 (1.03–1.07)`; a dash if it was not measured.
    fn cell(&self, what: &What, reference: &What) -> String {
        let is_zero = self.spread(reference).is_some_and(|spread| spread.median == 0.);
        let ratio = self.ratio(what, reference).filter(|_| what != reference && !is_zero);
        let ratio = ratio.map_or(String::new(), |ratio| format!(": {ratio}"));
        self.spread(what).map_or("–".to_owned(), |spread| number(spread.median) + &ratio)
    }

    /// The pairs that were measured, by name.
    fn pairs(&self, is_wanted: impl Fn(&Pair) -> bool) -> Vec<String> {
        let labels = PAIRS.iter().filter(|pair| is_wanted(pair)).map(Pair::label);
        labels.filter(|pair| self.get(&programs::what(pair, programs::TIME, PORT)).is_some()).collect()
    }

    /// A table for each pair; one of all that are there as more than port and C; and the ports against C.
    fn programs(&self) -> String {
        let what = programs::what;
        let cell = |pair: &str, quantity, who| self.cell(&what(pair, quantity, who), &what(pair, quantity, PORT));
        let quantities = || QUANTITIES.into_iter().flatten();
        let mut text = String::new();
        for pair in self.pairs(|_| true) {
            let is_there = |quantity, who| self.get(&what(&pair, quantity, who)).is_some();
            let who = || WHO.into_iter().filter(|who| is_there(programs::TIME, who));
            let measured = quantities().filter(|quantity| is_there(quantity, PORT));
            text += &table(&row(&pair, who()), measured.map(|quantity| row(quantity, who().map(|who| cell(&pair, quantity, who)))));
        }
        let compared = self.pairs(|pair| !pair.examples().is_empty());
        if compared.len() > 1 {
            let rows = compared.iter().map(|pair| row(server(pair), WHO.map(|who| cell(pair, programs::TIME, who))));
            text += &table(&row(programs::TIME, WHO), rows);
        }
        let mut against = Vec::new();
        for quantity in quantities() {
            let ratio = |pair: &Pair| self.ratio(&what(&pair.label(), quantity, PORT), &what(&pair.label(), quantity, C));
            let medians: Vec<f64> = PAIRS.iter().filter_map(ratio).map(|ratio| ratio.median).filter(|median| median.is_finite()).collect();
            if !medians.is_empty() {
                let (count, most) = (medians.len(), medians.iter().copied().fold(0., f64::max));
                against.push(row(quantity, [count.to_string(), Spread::of(medians).to_string(), format!("{most:.2}")]));
            }
        }
        if !against.is_empty() {
            text += &table(&row("port / C", ["pairs", "ratio", "largest"]), against);
        }
        text
    }

    fn transports(&self) -> String {
        let mut text = String::new();
        for of in [ROUND_TRIP, ONE_WAY] {
            let cell = |at, who| self.cell(&transports::what(of, at, who), &transports::what(of, at, UDP));
            let rows = TRANSPORTS.iter().map(|who| row(who, SIZES.map(|at| cell(at, who))));
            text += &table(&row(&format!("{of}, µs"), SIZES.map(|size| format!("{size} bytes"))), rows);
        }
        for (who, at, way) in [(FUTEX, 1, "there and back"), (EMPTY, 0, "once")] {
            let median = self.spread(&transports::what(ROUND_TRIP, at, who)).map_or(0., |spread| spread.median);
            text += &format!("{who}, {way}: {} µs\n", number(median));
        }
        text + "\n"
    }

    fn growth(&self) -> String {
        let mut text = String::new();
        for (of, all) in [(growth::OF_CLIENTS, &growth::CLIENTS[..]), (growth::OF_LENGTH, &growth::LENGTHS[..])] {
            for quantity in [growth::TIME, growth::MEMORY] {
                let rows = growth::SERVERS.iter().flat_map(|(server, ..)| [(server, PORT), (server, C)]).filter_map(|(server, who)| {
                    let what = |at: &usize| growth::what(server, of, quantity, *at, who);
                    self.get(&what(&all[0]))?;
                    Some(row(&format!("{server} ({who})"), all.iter().map(|at| self.cell(&what(at), &what(&all[0])))))
                });
                text += &table(&row(quantity, all.iter().map(|at| format!("{at} {of}"))), rows);
            }
        }
        text
    }

    fn has(&self, part: &str) -> bool {
        self.0.iter().any(|(what, _)| what.part == part)
    }

    /// All tables.
    pub fn tables(&self) -> String {
        let all = [("programs", Figures::programs as fn(&Figures) -> String), ("transports", Figures::transports), ("growth", Figures::growth)];
        all.iter().filter(|(part, _)| self.has(part)).map(|(_, table)| table(self)).collect()
    }

    /// Writes the raw numbers and the pictures; where they are, or an error if a file cannot be written.
    pub fn write(&self, folder: &Path, machine: &str) -> Result<Vec<PathBuf>> {
        fs::create_dir_all(folder)?;
        let mut files = vec![folder.join("bench.tsv")];
        fs::write(&files[0], format!("# {machine}\n{}", self.tsv()))?;
        let all = [("programs", Figures::draw_programs as fn(&Figures, &Area) -> Result<()>), ("transports", Figures::draw_transports), ("growth", Figures::draw_growth)];
        for (part, draw) in all.iter().filter(|(part, _)| self.has(part)) {
            let path = folder.join(format!("{part}.svg"));
            files.push(path.clone());
            let area = SVGBackend::new(&path, (860, 420)).into_drawing_area();
            // A page may be dark.
            area.fill(&WHITE)?;
            let (area, foot) = area.split_vertically(400);
            foot.draw(&Text::new(format!("{machine}, one of them in use; median and quartiles"), (10, 4), (FONT, 11)))?;
            draw(self, &area)?;
            area.present()?;
        }
        Ok(files)
    }

    /// A group of bars for each pair that there is as more than a port.
    fn draw_programs(&self, area: &Area) -> Result<()> {
        let pairs = self.pairs(|pair| !pair.examples().is_empty());
        let spread = |of: &str, who| self.spread(&programs::what(of, programs::TIME, who));
        let most = pairs.iter().flat_map(|of| WHO.map(|who| spread(of, who).map_or(0., |spread| spread.high))).fold(1., f64::max);
        let mut chart = chart(area, "One exchange, as port, C, std and tokio", 24);
        let mut chart = chart.build_cartesian_2d(0f64..pairs.len().max(1) as f64, 0f64..most * 1.08)?;
        chart.configure_mesh().disable_x_mesh().disable_x_axis().light_line_style(TRANSPARENT).y_desc("µs").label_style((FONT, 12)).y_label_formatter(&|y| y.to_string()).draw()?;
        for ((who, colour), place) in WHO.into_iter().zip(COLOURS.map(rgb)).zip([0.1, 0.3, 0.5, 0.7]) {
            let bars = pairs.iter().enumerate().filter_map(|(number, of)| Some((number as f64 + place, spread(of, who)?)));
            let bar = |(x, spread): (f64, Spread)| Rectangle::new([(x, 0.), (x + 0.18, spread.median)], colour.filled());
            let drawn = chart.draw_series(bars.clone().map(bar))?;
            drawn.label(who).legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()));
            chart.draw_series(bars.map(|(x, spread)| PathElement::new(vec![(x + 0.09, spread.low), (x + 0.09, spread.high)], BLACK)))?;
        }
        for (number, of) in pairs.iter().enumerate() {
            let (x, y) = chart.backend_coord(&(number as f64 + 0.1, 0.));
            area.draw(&Text::new(server(of).to_owned(), (x, y + 8), (FONT, 12)))?;
        }
        legend(&mut chart)
    }

    fn draw_transports(&self, area: &Area) -> Result<()> {
        let (left, right) = area.split_horizontally(430);
        for (area, title, of) in [(left, "A message and its answer", ROUND_TRIP), (right, "One of several messages, one way", ONE_WAY)] {
            let series = TRANSPORTS.map(|who| self.series(who, &SIZES, |at| transports::what(of, at, who)));
            lines(&area, title, "bytes", &series, of == ROUND_TRIP)?;
        }
        Ok(())
    }

    fn draw_growth(&self, area: &Area) -> Result<()> {
        let (left, right) = area.split_horizontally(430);
        for (area, of, all) in [(left, growth::OF_CLIENTS, &growth::CLIENTS[..]), (right, growth::OF_LENGTH, &growth::LENGTHS[..])] {
            let series = growth::SERVERS.map(|(server, ..)| self.series(server, all, |at| growth::what(server, of, growth::TIME, at, PORT)));
            lines(&area, "One exchange", of, &series, of == growth::OF_CLIENTS)?;
        }
        Ok(())
    }

    fn series(&self, name: &'static str, all: &[usize], what: impl Fn(usize) -> What) -> Series {
        (name, all.iter().filter_map(|at| Some((*at as f64, self.spread(&what(*at))?))).collect())
    }
}

/// Of a pair's name.
fn server(pair: &str) -> &str {
    pair.split(',').next().unwrap_or_default()
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Series = (&'static str, Vec<(f64, Spread)>);

fn legend<'a, X: Ranged, Y: Ranged>(chart: &mut ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>) -> Result<()> {
    chart.configure_series_labels().position(SeriesLabelPosition::UpperLeft).margin(6).label_font((FONT, 12)).background_style(WHITE.mix(0.8)).draw()?;
    Ok(())
}

/// One with room of this height for the labels below.
fn chart<'a, 'b>(area: &'a Area<'b>, title: &str, below: i32) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut chart = ChartBuilder::on(area);
    chart.caption(title, (FONT, 16)).margin(10).x_label_area_size(below).y_label_area_size(48);
    chart
}

/// A line for each of these, on logarithmic scales.
fn lines(area: &Area, title: &str, x: &str, all: &[Series], has_legend: bool) -> Result<()> {
    let points = || all.iter().flat_map(|(_, points)| points);
    let (least, most) = points().fold((f64::MAX, 1f64), |(least, most), (_, spread)| (least.min(spread.low), most.max(spread.high)));
    let last = points().map(|(x, _)| *x).fold(2., f64::max);
    let first = points().map(|(x, _)| *x).fold(last / 2., f64::min);
    let room = if has_legend { 6. } else { 1.2 };
    let mut chart = chart(area, title, 34);
    let mut chart = chart.build_cartesian_2d((first..last).log_scale(), (least * 0.8..most * room).log_scale())?;
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT).x_desc(x).y_desc("µs").label_style((FONT, 12));
    mesh.x_label_formatter(&|x| x.to_string()).y_label_formatter(&|y| y.to_string()).draw()?;
    for ((name, points), colour) in all.iter().zip(COLOURS.map(rgb)) {
        let drawn = chart.draw_series(LineSeries::new(points.iter().map(|(x, spread)| (*x, spread.median)), colour.stroke_width(2)))?;
        if has_legend {
            drawn.label(*name).legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 14, y)], colour.stroke_width(2)));
        }
        chart.draw_series(points.iter().map(|(x, spread)| PathElement::new(vec![(*x, spread.low), (*x, spread.high)], colour)))?;
    }
    if has_legend { legend(&mut chart) } else { Ok(()) }
}
