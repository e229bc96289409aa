//! The command line.

use std::fmt;
use std::path::PathBuf;
use std::thread;

pub const HELP: &str = "\
attentionstore-bench: what this machine can do, and what the engine makes of it

Usage: attentionstore-bench [machine|engine] [options]

  machine   the ceilings: disk, host memory, processors, a CUDA card (default)
  engine    the ceilings, then the engine against them: parts, prefill, decode, returning turns, ablations

Options:
  --json FILE         also write every figure as JSON
  --quick             fewer rounds and cases, for a look
  --only WORD         only what has WORD in its name
  --dir DIR           where the disk is measured; a folder in it is removed again (default: the current directory)
  --threads N         threads that compute (default: all)
  --device DEVICE     auto, cpu, cuda or cuda:N (default: auto, a CUDA card where there is one)
  --help              this text

Options of engine:
  --random-weights X  a shape's name or a directory with config.json (default: smollm2-135m)
  --seed N            of the random weights (default: 0)
  --model PATH        a GGUF file or a Hugging Face directory, in place of random weights
  --prefill N,N,…     prompt lengths
  --decode N,N,…      batch sizes
  --context N         tokens before a decoded one
  --history N,N,…     tokens that a returning turn finds again; each a multiple of 64
  --batch-tokens N    most tokens in a step (default: 256 on the CPU, 2048 on a card)
  --no-ceilings       do not measure the machine first; nothing has a limit then
";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Machine,
    Engine,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    Cpu,
    Cuda(usize),
}

impl fmt::Display for DeviceChoice {
    /// As `--device` takes it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::Cpu => formatter.write_str("cpu"),
            DeviceChoice::Cuda(ordinal) => write!(formatter, "cuda:{ordinal}"),
        }
    }
}

impl DeviceChoice {
    /// The card that is looked at; the first one beside a CPU.
    pub fn ordinal(self) -> usize {
        match self {
            DeviceChoice::Cpu => 0,
            DeviceChoice::Cuda(ordinal) => ordinal,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    pub command: Command,
    pub json: Option<PathBuf>,
    pub quick: bool,
    pub only: Option<String>,
    pub directory: PathBuf,
    pub threads: usize,
    pub device: DeviceChoice,
    pub random_weights: String,
    pub seed: u64,
    pub model: Option<PathBuf>,
    /// Empty: what fits the device.
    pub prefill: Vec<usize>,
    pub decode: Vec<usize>,
    pub context: Option<usize>,
    pub history: Vec<usize>,
    pub batch_tokens: Option<usize>,
    pub no_ceilings: bool,
}

/// The request of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    Help,
    Run(Box<Arguments>),
}

/// Reads the arguments after the program's name. `find_card` says whether there is a CUDA card.
///
/// # Errors
/// A sentence that names the option.
pub fn parse(given: impl Iterator<Item = String>, find_card: impl Fn() -> bool) -> Result<Request, String> {
    let mut arguments = Arguments {
        command: Command::Machine,
        json: None,
        quick: false,
        only: None,
        directory: PathBuf::from("."),
        threads: thread::available_parallelism().map_or(1, usize::from),
        device: DeviceChoice::Cpu,
        random_weights: "smollm2-135m".to_owned(),
        seed: 0,
        model: None,
        prefill: Vec::new(),
        decode: Vec::new(),
        context: None,
        history: Vec::new(),
        batch_tokens: None,
        no_ceilings: false,
    };
    let mut device = "auto".to_owned();
    let mut given = given.peekable();
    match given.next_if(|word| !word.starts_with('-')).as_deref() {
        None | Some("machine") => {}
        Some("engine") => arguments.command = Command::Engine,
        Some(other) => {
            return Err(format!("{other} is neither machine nor engine; --help lists the options"));
        }
    }
    while let Some(option) = given.next() {
        let mut value = || given.next().ok_or_else(|| format!("{option}: a value is missing"));
        match option.as_str() {
            "--help" | "-h" => return Ok(Request::Help),
            "--quick" => arguments.quick = true,
            "--no-ceilings" => arguments.no_ceilings = true,
            "--json" => arguments.json = Some(value()?.into()),
            "--only" => arguments.only = Some(value()?),
            "--dir" => arguments.directory = value()?.into(),
            "--device" => device = value()?,
            "--random-weights" => arguments.random_weights = value()?,
            "--model" => arguments.model = Some(value()?.into()),
            "--threads" => arguments.threads = number(&option, &value()?, 1, 1024)?,
            "--seed" => arguments.seed = number(&option, &value()?, 0, usize::MAX)? as u64,
            "--context" => arguments.context = Some(number(&option, &value()?, 64, 1 << 20)?),
            "--batch-tokens" => arguments.batch_tokens = Some(number(&option, &value()?, 1, 65_536)?),
            "--prefill" => arguments.prefill = numbers(&option, &value()?, 1)?,
            "--decode" => arguments.decode = numbers(&option, &value()?, 1)?,
            "--history" => arguments.history = numbers(&option, &value()?, 64)?,
            other => return Err(format!("unknown option {other}; --help lists them")),
        }
    }
    arguments.device = choose(&device, find_card)?;
    check(&arguments)?;
    Ok(Request::Run(Box::new(arguments)))
}

fn check(arguments: &Arguments) -> Result<(), String> {
    match arguments.history.iter().find(|&&tokens| !tokens.is_multiple_of(64)) {
        Some(tokens) => Err(format!("--history: {tokens} is no multiple of 64, the tokens of a block")),
        None => Ok(()),
    }
}

fn choose(device: &str, find_card: impl Fn() -> bool) -> Result<DeviceChoice, String> {
    match device.split_once(':') {
        None if device == "cpu" => Ok(DeviceChoice::Cpu),
        None if device == "cuda" => Ok(DeviceChoice::Cuda(0)),
        None if device == "auto" && find_card() => Ok(DeviceChoice::Cuda(0)),
        None if device == "auto" => Ok(DeviceChoice::Cpu),
        Some(("cuda", ordinal)) => Ok(DeviceChoice::Cuda(number("--device cuda:N", ordinal, 0, 1023)?)),
        _ => Err(format!("--device: {device} is none of auto, cpu, cuda, cuda:N")),
    }
}

fn number(option: &str, text: &str, low: usize, high: usize) -> Result<usize, String> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = plain.then(|| text.parse().ok()).flatten().filter(|value| (low..=high).contains(value));
    value.ok_or_else(|| format!("{option}: {text:?} is not a whole number from {low} to {high}"))
}

fn numbers(option: &str, text: &str, low: usize) -> Result<Vec<usize>, String> {
    text.split(',').map(|part| number(option, part, low, 1 << 20)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request, String> {
        parse(line.split_whitespace().map(str::to_owned), || false)
    }

    fn run(line: &str) -> Arguments {
        match parsed(line) {
            Ok(Request::Run(arguments)) => *arguments,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn without_arguments_the_machine_is_measured_on_all_threads() {
        let arguments = run("");
        assert_eq!(
            (arguments.command, arguments.quick, arguments.device),
            (Command::Machine, false, DeviceChoice::Cpu)
        );
        assert!(arguments.threads >= 1);
        assert_eq!(parsed("engine --quick --help"), Ok(Request::Help));
    }

    #[test]
    fn options_are_taken_with_their_values() {
        let line =
            "engine --prefill 512,2048 --history 64,128 --device cuda:3 --only disk --json out.json --seed 7";
        let arguments = run(line);
        assert_eq!(arguments.command, Command::Engine);
        assert_eq!((arguments.prefill, arguments.history), (vec![512, 2048], vec![64, 128]));
        assert_eq!((arguments.device, arguments.seed), (DeviceChoice::Cuda(3), 7));
        assert_eq!(
            (arguments.only.as_deref(), arguments.json),
            (Some("disk"), Some(PathBuf::from("out.json")))
        );
    }

    #[test]
    fn auto_is_the_card_where_there_is_one() {
        let with_card = parse(["--device".to_owned(), "auto".to_owned()].into_iter(), || true);
        assert!(
            matches!(with_card, Ok(Request::Run(arguments)) if arguments.device == DeviceChoice::Cuda(0))
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, words) in [
            ("disk", "disk is neither"),
            ("--fast", "unknown option --fast"),
            ("--json", "--json: a value is missing"),
            ("--threads 0", "--threads: \"0\" is not a whole number from 1"),
            ("engine --prefill 512,", "--prefill: \"\""),
            ("engine --history 100", "100 is no multiple of 64"),
            ("--device tpu", "tpu is none of"),
            ("--device cuda:x", "--device cuda:N: \"x\""),
        ] {
            let error = parsed(line).expect_err(line);
            assert!(error.contains(words), "{line}: {error}");
        }
    }
}
