//! What was measured as tables, pictures and raw numbers.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::programs::{C, PAIRS, PORT, QUANTITIES, WHO};
use super::transports::{EMPTY, FUTEX, ONE_WAY, ROUND_TRIP, SIZES, TRANSPORTS, UDP};
use super::{Figures, Spread, What, growth, programs, transports};

/// Colours that people who do not see all of them can tell apart.
const COLOURS: [RGBColor; 9] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(120, 94, 240),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(110, 110, 110),
    BLACK,
];

const FONT: &str = "sans-serif";

fn number(value: f64) -> String {
    format!("{value:.*}", if value >= 100. || value == 0. { 0 } else { 2 - usize::from(value >= 10.) })
}

fn table(head: &[String], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    line(head) + "|---|" + &"--:|".repeat(head.len() - 1) + "\n" + &rows.iter().map(|row| line(row)).collect::<String>()
}

impl Figures {
    fn median(&self, what: &What) -> Option<f64> {
        self.get(what).map(|values| Spread::of(values.to_vec()).median)
    }

    /// `12.3`, or with the ratio to another: `12.3: 1.05 (1.03–1.07)`; a dash if it was not measured.
    fn cell(&self, what: &What, reference: &What) -> String {
        let ratio = self.ratio(what, reference).filter(|_| what != reference && self.median(reference) != Some(0.));
        self.median(what).map_or("–".to_owned(), |median| number(median) + &ratio.map(|ratio| format!(": {ratio}")).unwrap_or_default())
    }

    /// A table for each pair; one of all that are there as more than port and C; and the ports against C.
    fn programs(&self) -> String {
        let what = |of: &str, quantity, who| What { part: "programs", of: of.to_owned(), quantity, at: 0, who };
        let mut text = String::new();
        for pair in PAIRS.iter().map(programs::Pair::label).filter(|pair| self.0.iter().any(|(what, _)| what.of == *pair)) {
            let who: Vec<&str> = WHO.into_iter().filter(|who| self.get(&what(&pair, programs::TIME, who)).is_some()).collect();
            let row = |quantity: &'static str| {
                let cells = who.iter().map(|who| self.cell(&what(&pair, quantity, who), &what(&pair, quantity, PORT)));
                [quantity.to_owned()].into_iter().chain(cells).collect::<Vec<_>>()
            };
            let is_there = |quantity: &&'static str| self.get(&what(&pair, quantity, PORT)).is_some();
            let rows: Vec<_> = QUANTITIES.into_iter().flatten().filter(is_there).map(row).collect();
            text += &(table(&[pair].into_iter().chain(who.iter().map(|who| (*who).to_owned())).collect::<Vec<_>>(), &rows) + "\n");
        }
        let compared = PAIRS.iter().filter(|pair| !pair.examples().is_empty()).map(programs::Pair::label).filter(|pair| self.get(&what(pair, programs::TIME, PORT)).is_some());
        let row = |pair: String| {
            let cells = WHO.map(|who| self.cell(&what(&pair, programs::TIME, who), &what(&pair, programs::TIME, PORT)));
            [pair.split(',').next().unwrap_or_default().to_owned()].into_iter().chain(cells).collect::<Vec<_>>()
        };
        let rows: Vec<_> = compared.map(row).collect();
        if rows.len() > 1 {
            text += &(table(&[programs::TIME].into_iter().chain(WHO).map(str::to_owned).collect::<Vec<_>>(), &rows) + "\n");
        }
        let mut against = Vec::new();
        for quantity in QUANTITIES.into_iter().flatten() {
            let ratios = PAIRS.iter().filter_map(|pair| self.ratio(&what(&pair.label(), quantity, PORT), &what(&pair.label(), quantity, C)));
            let medians: Vec<f64> = ratios.map(|ratio| ratio.median).filter(|median| median.is_finite()).collect();
            if !medians.is_empty() {
                let (count, most) = (medians.len(), medians.iter().copied().fold(0., f64::max));
                against.push(vec![quantity.to_owned(), count.to_string(), Spread::of(medians).to_string(), format!("{most:.2}")]);
            }
        }
        if !against.is_empty() {
            text += &(table(&["port / C".to_owned(), "pairs".to_owned(), "ratio".to_owned(), "largest".to_owned()], &against) + "\n");
        }
        text
    }

    fn transports(&self) -> String {
        let what = |of: &str, at, who| What { part: "transports", of: of.to_owned(), quantity: transports::TIME, at, who };
        let mut text = String::new();
        for of in [ROUND_TRIP, ONE_WAY] {
            let rows: Vec<_> =
                TRANSPORTS.iter().filter(|who| **who != FUTEX).map(|who| [(*who).to_owned()].into_iter().chain(SIZES.map(|at| self.cell(&what(of, at, who), &what(of, at, UDP)))).collect()).collect();
            text += &(table(&[format!("{of}, µs")].into_iter().chain(SIZES.map(|size| format!("{size} bytes"))).collect::<Vec<_>>(), &rows) + "\n");
        }
        for (who, at) in [(FUTEX, 1), (EMPTY, 0)] {
            text += &format!("{who}, {}: {} µs\n", if at == 1 { "there and back" } else { "once" }, number(self.median(&what(ROUND_TRIP, at, who)).unwrap_or_default()));
        }
        text + "\n"
    }

    fn growth(&self) -> String {
        let mut text = String::new();
        for (of, all) in [(growth::OF_CLIENTS, &growth::CLIENTS[..]), (growth::OF_LENGTH, &growth::LENGTHS[..])] {
            for quantity in [growth::TIME, growth::MEMORY] {
                let rows = growth::SERVERS.iter().flat_map(|(server, ..)| [(server, PORT), (server, C)]).filter_map(|(server, who)| {
                    let what = |at| What { part: "growth", of: format!("{server}: {of}"), quantity, at, who };
                    self.get(&what(all[0]))?;
                    Some([format!("{server} ({who})")].into_iter().chain(all.iter().map(|at| self.cell(&what(*at), &what(all[0])))).collect::<Vec<_>>())
                });
                text += &(table(&[quantity.to_owned()].into_iter().chain(all.iter().map(|at| format!("{at} {of}"))).collect::<Vec<_>>(), &rows.collect::<Vec<_>>()) + "\n");
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

    /// Writes the raw numbers and the pictures; where they are.
    ///
    /// # Errors
    ///
    /// If the folder cannot be made or a file not be written.
    pub fn write(&self, folder: &Path, machine: &str) -> Result<Vec<PathBuf>> {
        let write = || -> Result<Vec<PathBuf>> {
            fs::create_dir_all(folder)?;
            fs::write(folder.join("bench.tsv"), format!("# {machine}\n{}", self.tsv()))?;
            let mut files = vec![folder.join("bench.tsv")];
            let all = [("programs", Figures::draw_programs as fn(&Figures, &Area) -> Result<()>), ("transports", Figures::draw_transports), ("growth", Figures::draw_growth)];
            for (part, draw) in all.iter().filter(|(part, _)| self.has(part)) {
                let path = folder.join(format!("{part}.svg"));
                {
                    let area = SVGBackend::new(&path, (860, 420)).into_drawing_area();
                    // A page may be dark.
                    area.fill(&WHITE).map_err(problem)?;
                    let (area, foot) = area.split_vertically(400);
                    foot.draw(&Text::new(format!("{machine}, one of them in use; median and quartiles"), (10, 4), (FONT, 11))).map_err(problem)?;
                    draw(self, &area)?;
                    area.present().map_err(problem)?;
                }
                files.push(path);
            }
            Ok(files)
        };
        write().with_context(|| format!("cannot write to {}", folder.display()))
    }

    /// A group of bars for each pair that there is as more than a port.
    fn draw_programs(&self, area: &Area) -> Result<()> {
        let what = |of: &str, who| What { part: "programs", of: of.to_owned(), quantity: programs::TIME, at: 0, who };
        let is_there = |of: &String| self.get(&what(of, PORT)).is_some();
        let pairs: Vec<String> = PAIRS.iter().filter(|pair| !pair.examples().is_empty()).map(programs::Pair::label).filter(is_there).collect();
        let spread = |of: &str, who| self.get(&what(of, who)).map(|values| Spread::of(values.to_vec()));
        let most = pairs.iter().flat_map(|of| WHO.map(|who| spread(of, who).map_or(0., |spread| spread.high))).fold(1., f64::max);
        let mut chart = ChartBuilder::on(area)
            .caption("One exchange, as port, C, std and tokio", (FONT, 16))
            .margin(10)
            .x_label_area_size(24)
            .y_label_area_size(48)
            .build_cartesian_2d(0f64..pairs.len().max(1) as f64, 0f64..most * 1.08)
            .map_err(problem)?;
        chart.configure_mesh().disable_x_mesh().disable_x_axis().light_line_style(TRANSPARENT).y_desc("µs").label_style((FONT, 12)).y_label_formatter(&|y| y.to_string()).draw().map_err(problem)?;
        for (who, colour) in WHO.into_iter().zip(COLOURS) {
            let place = WHO.iter().position(|known| *known == who).unwrap_or_default() as f64 * 0.2 + 0.1;
            let bars = pairs.iter().enumerate().filter_map(|(number, of)| Some((number as f64 + place, spread(of, who)?)));
            let bar = |(x, spread): (f64, Spread)| Rectangle::new([(x, 0.), (x + 0.18, spread.median)], colour.filled());
            let drawn = chart.draw_series(bars.clone().map(bar)).map_err(problem)?;
            drawn.label(who).legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()));
            chart.draw_series(bars.map(|(x, spread)| PathElement::new(vec![(x + 0.09, spread.low), (x + 0.09, spread.high)], BLACK))).map_err(problem)?;
        }
        for (number, of) in pairs.iter().enumerate() {
            let (x, y) = chart.backend_coord(&(number as f64 + 0.1, 0.));
            let server = of.split(',').next().unwrap_or_default().to_owned();
            area.draw(&Text::new(server, (x, y + 8), (FONT, 12))).map_err(problem)?;
        }
        legend(&mut chart)
    }

    fn draw_transports(&self, area: &Area) -> Result<()> {
        let all = TRANSPORTS.iter().filter(|who| **who != FUTEX);
        let series = |of: &str| -> Vec<Series> {
            all.clone()
                .map(|who| {
                    (
                        (*who).to_owned(),
                        SIZES
                            .iter()
                            .filter_map(|at| Some((*at, self.get(&What { part: "transports", of: of.to_owned(), quantity: transports::TIME, at: *at, who })?)))
                            .map(|(at, values)| (at as f64, Spread::of(values.to_vec())))
                            .collect(),
                    )
                })
                .collect()
        };
        let (left, right) = area.split_horizontally(430);
        lines(&left, "A message and its answer", "bytes", &series(ROUND_TRIP), true)?;
        lines(&right, "One of several messages, one way", "bytes", &series(ONE_WAY), false)
    }

    fn draw_growth(&self, area: &Area) -> Result<()> {
        let (left, right) = area.split_horizontally(430);
        for (area, of, all, is_first) in [(left, growth::OF_CLIENTS, &growth::CLIENTS[..], true), (right, growth::OF_LENGTH, &growth::LENGTHS[..], false)] {
            let figures = |server: &str| {
                all.iter()
                    .filter_map(|at| Some((*at as f64, Spread::of(self.get(&What { part: "growth", of: format!("{server}: {of}"), quantity: growth::TIME, at: *at, who: PORT })?.to_vec()))))
                    .collect()
            };
            let series: Vec<Series> = growth::SERVERS.iter().map(|(server, ..)| ((*server).to_owned(), figures(server))).collect();
            lines(&area, "One exchange", of, &series, is_first)?;
        }
        Ok(())
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Series = (String, Vec<(f64, Spread)>);

fn problem(error: impl std::error::Error) -> anyhow::Error {
    anyhow!("{error}")
}

fn legend<'a, X: plotters::coord::ranged1d::Ranged, Y: plotters::coord::ranged1d::Ranged>(chart: &mut ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>) -> Result<()> {
    chart.configure_series_labels().position(SeriesLabelPosition::UpperLeft).margin(6).label_font((FONT, 12)).background_style(WHITE.mix(0.8)).draw().map_err(problem)
}

/// A line for each of these, on logarithmic scales.
fn lines(area: &Area, title: &str, x: &str, all: &[Series], has_legend: bool) -> Result<()> {
    let points = || all.iter().flat_map(|(_, points)| points);
    let (least, most) = points().fold((f64::MAX, 1f64), |(least, most), (_, spread)| (least.min(spread.low), most.max(spread.high)));
    let last = points().map(|(x, _)| *x).fold(2., f64::max);
    let first = points().map(|(x, _)| *x).fold(last / 2., f64::min);
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 16))
        .margin(10)
        .x_label_area_size(34)
        .y_label_area_size(48)
        .build_cartesian_2d((first..last).log_scale(), (least * 0.8..most * if has_legend { 6. } else { 1.2 }).log_scale())
        .map_err(problem)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc(x)
        .y_desc("µs")
        .label_style((FONT, 12))
        .x_label_formatter(&|x| x.to_string())
        .y_label_formatter(&|y| y.to_string())
        .draw()
        .map_err(problem)?;
    for ((name, points), colour) in all.iter().zip(COLOURS) {
        let drawn = chart.draw_series(LineSeries::new(points.iter().map(|(x, spread)| (*x, spread.median)), colour.stroke_width(2))).map_err(problem)?;
        if has_legend {
            drawn.label(name).legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 14, y)], colour.stroke_width(2)));
        }
        chart.draw_series(points.iter().map(|(x, spread)| PathElement::new(vec![(*x, spread.low), (*x, spread.high)], colour))).map_err(problem)?;
    }
    if has_legend { legend(&mut chart) } else { Ok(()) }
}
