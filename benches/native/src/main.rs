//! Measures a bare machine, and the engine on it: disk, memory, arithmetic and a CUDA card, then prefill, decode and
//! returning turns against those ceilings. Needs neither Node nor a server. `docs/bench/README.md` says what each
//! figure means.
//!
//! Exit codes: 0 measured, 1 a measurement failed, 2 wrong usage, 3 what was written could not be.

mod arguments;
mod ceilings;
mod engine;
mod machine;
mod report;
mod statistics;

use std::process::ExitCode;

use arguments::{Arguments, Command, HELP, Request};
use machine::Machine;
use report::Recorder;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let request = arguments::parse(std::env::args().skip(1), || attentionstore_cuda::detect().is_ok());
    match request {
        Ok(Request::Help) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Ok(Request::Run(arguments)) => run(&arguments),
        Err(sentence) => {
            eprintln!("attentionstore-bench: {sentence}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> ExitCode {
    let machine = Machine::look(&arguments.directory);
    let mut recorder = Recorder::new(machine, arguments.quick, arguments.only.clone());
    let measured = measure(&mut recorder, arguments);
    println!("{}", recorder.table());
    if let Err(error) = measured {
        eprintln!("attentionstore-bench: {error}");
        return ExitCode::FAILURE;
    }
    if recorder.is_empty() {
        let word = arguments.only.as_deref().unwrap_or_default();
        eprintln!("attentionstore-bench: --only: nothing has {word:?} in its name");
        return ExitCode::from(2);
    }
    match arguments.json.as_deref().map(|path| (path, recorder.write(path))) {
        Some((path, Err(error))) => {
            eprintln!("attentionstore-bench: --json {}: {error}", path.display());
            ExitCode::from(3)
        }
        _ => ExitCode::SUCCESS,
    }
}

fn measure(recorder: &mut Recorder, arguments: &Arguments) -> Outcome<()> {
    if arguments.command == Command::Machine || !arguments.no_ceilings {
        ceilings::measure(recorder, arguments)?;
    }
    match arguments.command {
        Command::Machine => Ok(()),
        Command::Engine => engine::measure(recorder, arguments),
    }
}
