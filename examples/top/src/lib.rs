//! A live look at the jobs of a thread: what `siding::stats()` and a scheduler say, drawn on
//! the terminal a few times a second. The drawing is a job of the scheduler it shows.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Stdout, stdout};
use std::time::{Duration, Instant};

use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Bar, BarChart, Block, Paragraph, Sparkline};
use ratatui::{Frame, Terminal};
use siding::scheduler::{self, Spawner, sleep};
use siding::{stack, stats};

/// Between two pictures.
const PERIOD: Duration = Duration::from_millis(250);
/// How many stacks the kernel is asked about: each takes a microsecond or so.
const MOST_MARKS: usize = 10_000;

/// What is shown.
pub struct Sample {
    pub at: Instant,
    pub jobs: siding::Jobs,
    pub stacks: stack::Stats,
    /// `None` where jobs are run by something else: futures, a loop.
    pub scheduler: Option<scheduler::Stats>,
    /// How deep each stack was used, in bytes.
    pub marks: Vec<usize>,
}

impl Sample {
    /// Of the calling thread.
    pub fn take(scheduler: Option<scheduler::Stats>) -> Sample {
        let stats = stats();
        let few = stats.stacks.live + stats.stacks.idle <= MOST_MARKS;
        let marks = if few { stack::high_water_marks() } else { Vec::new() };
        Sample { at: Instant::now(), jobs: stats.jobs, stacks: stats.stacks, scheduler, marks }
    }
}

/// Draws one sample after another.
pub struct Watch<B: Backend> {
    terminal: Terminal<B>,
    /// Gives the terminal back, also after a panic or when a job is cancelled.
    _restore: Option<Restore>,
    last: Option<Sample>,
    /// Turns a second, the last ones.
    turns: VecDeque<u64>,
}

impl Watch<CrosstermBackend<Stdout>> {
    /// Takes the terminal over until it is dropped. `None` if there is none.
    pub fn begin() -> Option<Self> {
        let init = || Watch { _restore: Some(Restore), ..Watch::new(ratatui::init()) };
        stdout().is_terminal().then(init)
    }
}

impl<B: Backend> Watch<B> {
    pub fn new(terminal: Terminal<B>) -> Self {
        Watch { terminal, _restore: None, last: None, turns: VecDeque::new() }
    }

    /// What it draws on.
    pub fn backend(&self) -> &B {
        self.terminal.backend()
    }

    pub fn draw(&mut self, sample: Sample) -> Result<(), B::Error> {
        let rates = self.last.as_ref().and_then(|last| Rates::between(last, &sample));
        if let Some(rates) = &rates {
            self.turns.push_front(rates.turns as u64);
            self.turns.truncate(200);
        }
        let turns = self.turns.make_contiguous();
        self.terminal.draw(|frame| draw(frame, &sample, rates.as_ref(), turns))?;
        self.last = Some(sample);
        Ok(())
    }
}

/// What has happened a second.
struct Rates {
    turns: f64,
    pauses: f64,
    ends: f64,
    wakes: f64,
}

impl Rates {
    fn between(last: &Sample, now: &Sample) -> Option<Rates> {
        let (before, after) = (last.scheduler?, now.scheduler?);
        let seconds = (now.at - last.at).as_secs_f64();
        let rate = |before: u64, after: u64| (after - before) as f64 / seconds;
        let (turns, ends) = (rate(before.turns, after.turns), rate(before.ended, after.ended));
        let pauses = (turns - ends).max(0.0);
        Some(Rates { turns, pauses, ends, wakes: rate(before.woken, after.woken) })
    }
}

fn draw(frame: &mut Frame, sample: &Sample, rates: Option<&Rates>, turns: &[u64]) {
    let rows = Layout::vertical([Constraint::Length(8), Constraint::Length(6), Constraint::Min(5)]);
    let [numbers, history, marks] = rows.areas(frame.area());
    let columns = Layout::horizontal([Constraint::Ratio(1, 3); 3]);
    let [jobs, rate, pool] = columns.areas(numbers);
    table(frame, jobs, "jobs", &job_rows(sample));
    table(frame, rate, "a second", &rate_rows(rates));
    table(frame, pool, "stacks", &stack_rows(sample));
    let line = Sparkline::default().data(turns).fg(Color::Cyan);
    frame.render_widget(
        line.block(Block::bordered().title(" turns a second, newest first ")),
        history,
    );
    histogram(frame, marks, &sample.marks);
}

fn job_rows(sample: &Sample) -> Vec<(&'static str, String)> {
    let jobs = &sample.jobs;
    let mut rows = vec![("running", jobs.running.to_string())];
    if let Some(scheduler) = &sample.scheduler {
        let waiting = scheduler.live.saturating_sub(scheduler.ready + jobs.running);
        rows.push(("ready", scheduler.ready.to_string()));
        rows.push(("waiting", waiting.to_string()));
        rows.push(("  for an instant", scheduler.timed.to_string()));
    } else {
        rows.push(("paused", jobs.paused.to_string()));
    }
    rows.push(("free in the pool", jobs.free.to_string()));
    rows.push(("orphaned", jobs.orphaned.to_string()));
    rows
}

fn rate_rows(rates: Option<&Rates>) -> Vec<(&'static str, String)> {
    let Some(rates) = rates else { return Vec::new() };
    let row = |name, value: f64| (name, format!("{value:.0}"));
    vec![
        row("turns", rates.turns),
        row("pauses", rates.pauses),
        row("ends", rates.ends),
        row("wakes", rates.wakes),
    ]
}

fn stack_rows(sample: &Sample) -> Vec<(&'static str, String)> {
    let stacks = &sample.stacks;
    vec![
        ("in use", stacks.live.to_string()),
        ("idle", stacks.idle.to_string()),
        ("slabs", stacks.slabs.to_string()),
        ("mappings", stacks.mappings.to_string()),
        ("reserved, MiB", (stacks.reserved >> 20).to_string()),
        ("guards by", format!("{:?}", stacks.guard_mode)),
    ]
}

fn table(frame: &mut Frame, area: Rect, title: &str, rows: &[(&str, String)]) {
    let width = usize::from(area.width).saturating_sub(21).min(14);
    let lines: Vec<_> =
        rows.iter().map(|(name, value)| Line::raw(format!("{name:<17} {value:>width$}"))).collect();
    let block = Block::bordered().title(format!(" {title} "));
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// Stacks by how deep they were used, in powers of two of KiB.
fn histogram(frame: &mut Frame, area: Rect, marks: &[usize]) {
    let block = Block::bordered().title(" stacks by their high-water marks; q ends this ");
    let mut counts = [0_u64; 10];
    for mark in marks {
        let class = (mark >> 12).next_power_of_two().ilog2() as usize;
        counts[class.min(counts.len() - 1)] += 1;
    }
    let bars = counts.iter().enumerate().map(|(class, count)| {
        Bar::default().value(*count).label(Line::raw(format!("{} K", 4 << class)))
    });
    let bars: Vec<_> = bars.collect();
    let chart = BarChart::vertical(bars).bar_width(7).bar_gap(1).block(block).fg(Color::Yellow);
    frame.render_widget(chart, area);
}

/// Whether somebody has pressed q, Escape or Control-C. (The terminal is in raw mode.)
pub fn asked_to_stop() -> io::Result<bool> {
    let mut stop = false;
    while event::poll(Duration::ZERO)? {
        if let Event::Key(key) = event::read()? {
            let end = matches!(key.code, KeyCode::Char('q' | 'c') | KeyCode::Esc);
            stop |= end && key.kind == KeyEventKind::Press;
        }
    }
    Ok(stop)
}

/// A job that watches its scheduler until it is the only one left, or somebody stops it.
pub fn job(spawner: Spawner) -> io::Result<()> {
    let Some(mut watch) = Watch::begin() else {
        return Err(io::Error::other("--watch wants a terminal"));
    };
    while let Some(stats) = spawner.stats()
        && stats.live > 1
        && !asked_to_stop()?
    {
        watch.draw(Sample::take(Some(stats)))?;
        if sleep(PERIOD).is_err() {
            break;
        }
    }
    Ok(())
}

struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        ratatui::restore();
    }
}
