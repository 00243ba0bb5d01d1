//! A deadlock, seen from outside: six threads and two locks. Holders and waits are shown while the program
//! hangs, and after `kill -9`.
//!
//! ```text
//! cargo run -p mmstats --features sync --example deadlock
//! mmstats show -v --lanes                   # in another terminal: sys.lock.*
//! ```

use std::error::Error;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use mmstats::sync::Mutex;

static ACCOUNTS: Mutex<[i64; 2]> = Mutex::new("accounts", [100, 0]);
static LOG: Mutex<Vec<String>> = Mutex::new("log", Vec::new());

/// Both have their first lock before they ask for the other one.
static BOTH: Barrier = Barrier::new(2);

/// Locks the accounts, then the log.
fn transfer() {
    let mut accounts = ACCOUNTS.lock().unwrap();
    BOTH.wait();
    accounts[0] -= 10;
    accounts[1] += 10;
    LOG.lock().unwrap().push("transferred 10".to_owned());
}

/// Locks the log, then the accounts: the other order.
fn audit() {
    let mut log = LOG.lock().unwrap();
    BOTH.wait();
    let sum: i64 = ACCOUNTS.lock().unwrap().iter().sum();
    log.push(format!("the sum is {sum}"));
}

/// Locks only the accounts.
fn inquire() {
    thread::sleep(Duration::from_millis(100));
    println!("{:?}", ACCOUNTS.lock().unwrap());
}

// `pub(crate)` for its test.
pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let _mmstats = mmstats::init();
    drop((ACCOUNTS.lock().unwrap(), LOG.lock().unwrap()));

    let start = |name: &str, work: fn()| thread::Builder::new().name(name.to_owned()).spawn(work);
    let mut threads = vec![start("transfer", transfer)?, start("audit", audit)?];
    for n in 1..=4 {
        threads.push(start(&format!("inquiry-{n}"), inquire)?);
    }

    println!("ready: mmstats show -v --lanes {}", std::process::id());
    std::io::stdin().read_line(&mut String::new())?; // Until Enter, or the end of the input.
    Ok(()) // The threads end with the program: joining them would take for ever.
}
