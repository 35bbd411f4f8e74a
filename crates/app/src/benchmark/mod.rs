//! `vico benchmark`: concepts x methods x prompts x samples, as a plan says.
//!
//! A cell is a concept learned by a method; it is trained by the code of `vico train`,
//! drawn by that of `vico generate` and judged by that of `vico evaluate`. What is on disk
//! is never made again, so a run can be ended at any point and goes on when it is called
//! again. Seeds belong to names, not to places in the plan.

mod cell;
mod costs;
mod features;
mod file;
mod judging;
mod plan;
mod record;
mod runs;
mod work;

use std::path::{Path, PathBuf};

use diffusion::Base;

use crate::{
    Compute, DEFAULT_BASE, Event, Events, Result, estimate::time_text, evaluate::Encoders,
    event::Quiet, generate::writable, lora::open_base,
};
use cell::Cell;
use file::PlanFile;
use plan::Plan;
use record::Record;
use work::{Clock, passes};

pub use plan::Shard;

/// What was typed.
#[derive(Clone, Debug)]
pub struct Options {
    /// The plan.
    pub plan: PathBuf,
    /// Folder for everything that is made; `PLAN-benchmark` if not given.
    pub output: Option<PathBuf>,
    /// The plan's data set lies here.
    pub dataset: Option<PathBuf>,
    /// Another base model than the plan's.
    pub base: Option<PathBuf>,
    /// Another CLIP than the plan's.
    pub clip: Option<PathBuf>,
    /// Another DINO than the plan's.
    pub dino: Option<PathBuf>,
    /// Which cells are this run's.
    pub shard: Shard,
    /// How far it goes.
    pub extent: Extent,
    /// Say what would be done, and stop.
    pub dry_run: bool,
}

/// How far a run goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// It trains, draws, judges and reports.
    #[default]
    Whole,
    /// It trains and draws; no encoder is opened.
    Draw,
    /// It judges and reports what is drawn.
    Report,
}

/// Trains, draws and judges what is not there yet, and writes a report; the answer is a
/// table, of a dry run the cells.
///
/// # Errors
/// If the plan cannot be followed, or is another than the one the folder was begun with.
pub fn run(options: &Options, compute: &Compute, events: &mut dyn Events) -> Result<Vec<String>> {
    let plan = plan(options)?;
    let output = options.output();
    let base = open_base(compute, &plan.base, &plan.loras, events)?;
    let record = Record::of(&plan, &base.fingerprint()?, &output)?;
    let all = cells(&plan, &base, &output)?;
    let mine = all.iter().enumerate().filter(|(i, _)| options.shard.has(*i));
    let left: Vec<&Cell> = mine.map(|(_, cell)| cell).filter(|cell| !cell.is_done()).collect();
    let clock = Clock::start(&left, &base, compute)?;
    events.note(summary(&all, &left, &clock, options.shard));
    if options.dry_run {
        return Ok(listed(&all, options.shard));
    }
    writable(&output)?;
    record.write()?;
    drop(base);
    let encoders = match options.extent {
        Extent::Draw => None,
        Extent::Whole | Extent::Report => encoders(&plan, compute, events)?,
    };
    if options.extent != Extent::Report {
        work(&left, clock, compute, events)?;
    }
    match encoders {
        Some(encoders) => judging::report(&all, &encoders, options, &output, compute, events),
        None => Ok(Vec::new()),
    }
}

impl Options {
    /// Where everything goes.
    fn output(&self) -> PathBuf {
        let stem = self.plan.file_stem().unwrap_or_default().to_string_lossy();
        self.output.clone().unwrap_or_else(|| format!("{stem}-benchmark").into())
    }
}

/// The plan with what was typed beside it.
fn plan(options: &Options) -> Result<Plan> {
    let mut file = PlanFile::read(&options.plan)?;
    file.dataset = options.dataset.clone().or(file.dataset);
    file.base = options.base.clone().unwrap_or(file.base);
    file.judging.clip = options.clip.clone().or(file.judging.clip);
    file.judging.dino = options.dino.clone().or(file.judging.dino);
    Plan::new(file)
}

/// All cells, concept by concept.
fn cells<'a>(plan: &'a Plan, base: &Base, output: &Path) -> Result<Vec<Cell<'a>>> {
    let mut cells = Vec::new();
    for (c, concept) in plan.concepts.iter().enumerate() {
        for (m, method) in plan.methods.iter().enumerate() {
            let recipe = plan.recipe(concept, method, base)?;
            let evaluation = plan.evaluation(concept, method, &recipe, base)?;
            cells.push(Cell::new(plan, (c, m), (recipe, evaluation), output)?);
        }
    }
    Ok(cells)
}

/// What there is to do.
fn summary(all: &[Cell], left: &[&Cell], clock: &Clock, shard: Shard) -> String {
    let trainings = left.iter().filter(|cell| cell.is_to_train()).count();
    let pictures: usize = left.iter().map(|cell| cell.missing()).sum();
    let part = match shard {
        Shard::WHOLE => String::new(),
        part => format!(" in part {part}"),
    };
    let time = time_text(clock.left());
    match left.len() {
        0 => format!("all cells{part} are done, of {}", all.len()),
        cells => format!(
            "{cells} of {} cells to do{part}: {trainings} to train, {pictures} pictures to draw; \
             about {time}",
            all.len()
        ),
    }
}

/// A line for each cell.
fn listed(all: &[Cell], shard: Shard) -> Vec<String> {
    let line = |(i, cell): (usize, &Cell)| {
        let missing = cell.missing();
        let state = match missing {
            _ if !shard.has(i) => "of another part".to_owned(),
            _ if cell.is_done() => "done".to_owned(),
            _ if cell.is_to_train() => {
                format!("{} steps to train, {missing} pictures to draw", cell.recipe.steps)
            }
            _ if cell.method().untrained => format!("{missing} pictures to draw"),
            _ => format!("trained, {missing} pictures to draw"),
        };
        format!("{}: {state}", cell.name())
    };
    all.iter().enumerate().map(line).collect()
}

/// The encoders, opened once, so that days of work are not followed by a refusal; none if
/// the plan names none and its base is not the model inside the program.
fn encoders(plan: &Plan, compute: &Compute, events: &mut dyn Events) -> Result<Option<Encoders>> {
    let (clip, dino) = (plan.judging.clip.as_deref(), plan.judging.dino.as_deref());
    let inside = plan.base == Path::new(DEFAULT_BASE);
    if clip.or(dino).is_none() && !inside {
        events.warning(
            "no encoder is named: pictures are drawn, but not judged. Add clip and dino to \
             [judging], or --clip and --dino; nothing will be drawn again for it",
        );
        return Ok(None);
    }
    let encoders = Encoders::find(clip, dino, inside, events)?;
    encoders.check(compute)?;
    Ok(Some(encoders))
}

/// Trains and draws.
fn work(
    cells: &[&Cell],
    mut clock: Clock,
    compute: &Compute,
    events: &mut dyn Events,
) -> Result<()> {
    for (i, cell) in cells.iter().enumerate() {
        let (number, total, left) = (i + 1, cells.len(), time_text(clock.left()));
        events.event(&Event::Cell { name: cell.name(), number, total, left });
        let passes = passes(cell);
        match cell.work(compute, &mut Quiet(events))? {
            true => clock.add(passes),
            false => events.note(format!("{}: another process is at it", cell.name())),
        }
    }
    Ok(())
}
