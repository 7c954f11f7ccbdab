// SPDX-License-Identifier: MIT

//! Tokio's side of tests/bench: `tokio-peer BENCHMARK WORKERS [REPETITIONS]` prints the
//! same lines as the benchmark of that name in C. Its tasks have no stack of their own.

use std::future::Future;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};

fn runtime(workers: usize) -> Runtime {
    let mut builder = match workers {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder
        .worker_threads(workers)
        .enable_all()
        .build()
        .unwrap()
}

/// Runs `work` as a task: block_on itself stays outside the workers and is slow.
fn on_worker(rt: &Runtime, work: impl Future<Output = ()> + Send + 'static) {
    rt.block_on(async { tokio::spawn(work).await.unwrap() });
}

fn report(name: &str, workers: usize, repetitions: usize, operations: f64, mut work: impl FnMut()) {
    work();
    let mut sample: Vec<f64> = (0..repetitions)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_nanos() as f64 / operations
        })
        .collect();
    sample.sort_by(f64::total_cmp);
    println!(
        "{} workers={} ns={:.6}",
        name,
        workers,
        sample[repetitions / 2]
    );
}

fn yield_among(name: &str, tasks: usize, repetitions: usize) {
    const SWITCHES: usize = 1_000_000;
    let rt = runtime(1);
    report(name, 1, repetitions, SWITCHES as f64, || {
        on_worker(&rt, async move {
            let all: Vec<_> = (0..tasks)
                .map(|_| {
                    tokio::spawn(async move {
                        for _ in 0..SWITCHES / tasks {
                            tokio::task::yield_now().await;
                        }
                    })
                })
                .collect();
            for task in all {
                task.await.unwrap();
            }
        })
    });
}

fn spawn_await(repetitions: usize) {
    const SPAWNS: usize = 300_000;
    let rt = runtime(1);
    report("spawn_await", 1, repetitions, SPAWNS as f64, || {
        on_worker(&rt, async {
            for _ in 0..SPAWNS {
                tokio::spawn(async {}).await.unwrap();
            }
        })
    });
}

fn spawn_many(workers: usize, repetitions: usize) {
    const SPAWNS: usize = 100_000;
    let rt = runtime(workers);
    report("spawn_many", workers, repetitions, SPAWNS as f64, || {
        on_worker(&rt, async {
            let all: Vec<_> = (0..SPAWNS).map(|_| tokio::spawn(async {})).collect();
            for task in all {
                task.await.unwrap();
            }
        })
    });
}

async fn serve(mut stream: tokio::net::TcpStream) {
    let mut buffer = [0u8; 4096];
    while let Ok(n) = stream.read(&mut buffer).await {
        if n == 0 || stream.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

/// TCP echo on a free loopback port, which it prints, until killed.
fn echo(workers: usize) {
    runtime(workers).block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("port {}", listener.local_addr().unwrap().port());
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        }
    })
}

fn main() {
    let argument: Vec<String> = std::env::args().collect();
    let number = |i: usize, otherwise| match argument.get(i) {
        Some(text) => text.parse::<usize>().unwrap_or(0).max(1),
        None => otherwise,
    };
    let workers = number(2, 1);
    let repetitions = number(3, 5);
    match argument.get(1).map(String::as_str) {
        Some("yield") => {
            yield_among("yield2", 2, repetitions);
            yield_among("yield10000", 10_000, repetitions);
        }
        Some("spawn_await") => spawn_await(repetitions),
        Some("spawn_many") => spawn_many(workers, repetitions),
        Some("echo") => echo(workers),
        _ => {
            eprintln!("usage: tokio-peer BENCHMARK WORKERS [REPETITIONS]");
            std::process::exit(2);
        }
    }
}
