"""The reference model of `benches/ratios.rs` on SimPy and Ciw, beside rollsim.

Instances with 8 workers each and a queue, Poisson arrivals, power of two choices, lognormal work, 70 % load. Prints what a
simulated request costs, and the mean and the 99th percentile of the latency, each with four standard errors from batches:
a fast wrong answer counts for nothing.

    cargo build --release --locked
    pip install simpy==4.1.2 ciw==3.2.7
    python benches/peers.py [INSTANCES]
"""

import csv
import math
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORKERS = 8
RATE_OF_ONE = 186.667
MEDIAN, P95 = 0.0212, 0.0846
SIGMA = math.log(P95 / MEDIAN) / 1.6448536269514722
BATCHES = 20


def interval(values):
    """The mean of independent values, and four of its standard errors."""
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, 4 * math.sqrt(variance / len(values))


def figures(latencies):
    """Mean and p99 in milliseconds, over batches in the order of arrival."""
    size = len(latencies) // BATCHES
    batches = [sorted(latencies[n * size : (n + 1) * size]) for n in range(BATCHES)]
    return (
        interval([1e3 * sum(batch) / size for batch in batches]),
        interval([1e3 * batch[int(0.99 * size)] for batch in batches]),
    )


def with_simpy(instances, seconds):
    import simpy

    environment = simpy.Environment()
    servers = [simpy.Resource(environment, capacity=WORKERS) for _ in range(instances)]
    ended = []

    def serve(server):
        arrived = environment.now
        with server.request() as turn:
            yield turn
            yield environment.timeout(random.lognormvariate(math.log(MEDIAN), SIGMA))
        ended.append((arrived, environment.now - arrived))

    def arrive():
        while True:
            yield environment.timeout(random.expovariate(RATE_OF_ONE * instances))
            one, other = random.sample(servers, 2)
            chosen = other if load(other) < load(one) else one
            environment.process(serve(chosen))

    def load(server):
        return server.count + len(server.queue)

    environment.process(arrive())
    environment.run(until=seconds)
    return sorted(ended)


def with_ciw(instances, seconds):
    import ciw

    class TwoChoices(ciw.routing.NodeRouting):
        """From the first node, which takes no time, to the emptier one of two."""

        def next_node(self, individual):
            one, other = (self.simulation.nodes[n] for n in random.sample(range(2, instances + 2), 2))
            load = lambda node: node.number_of_individuals
            return other if load(other) < load(one) else one

    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(RATE_OF_ONE * instances)] + [None] * instances,
        service_distributions=[ciw.dists.Deterministic(0.0)]
        + [ciw.dists.Lognormal(math.log(MEDIAN), SIGMA)] * instances,
        number_of_servers=[float("inf")] + [WORKERS] * instances,
        routing=ciw.routing.NetworkRouting(
            routers=[TwoChoices()] + [ciw.routing.Leave() for _ in range(instances)]
        ),
    )
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_time(seconds)
    records = [record for record in simulation.get_all_records() if record.node > 1]
    return sorted((record.arrival_date, record.exit_date - record.arrival_date) for record in records)


def with_rollsim(instances, seconds):
    """Seconds a request, start and files included, and the mean and the p99 over replications."""
    scenario = f"""
[service]
instances = {instances}
workers = {WORKERS}
queue = 4096
[traffic]
rate = {RATE_OF_ONE * instances}
work = {{ lognormal = {{ median = "{MEDIAN * 1e6:.0f}us", p95 = "{P95 * 1e6:.0f}us" }} }}
[balancer]
policy = "power-of-two"
[release]
start = "1s"
[strategy.none.kubernetes]
control_plane = {{ pass = "1h" }}
[study]
replications = {BATCHES}
warm_up = "1s"
baseline = "1s"
window = "{seconds}s"
interval = "1s"
"""
    binary = Path(__file__).resolve().parent.parent / "target" / "release" / "rollsim"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reference.toml"
        path.write_text(scenario)
        begun = time.perf_counter()
        command = [binary, "run", "--quiet", "--no-plots", "--threads", "1", "--out", Path(folder) / "out", path]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        took = time.perf_counter() - begun
        (written,) = Path(folder, "out").rglob("replications.csv")
        with written.open() as lines:
            runs = list(csv.DictReader(lines))
    simulated = BATCHES * RATE_OF_ONE * instances * (seconds + 2)
    return took / simulated, *(interval([float(run[name]) for run in runs]) for name in ("mean_ms", "p99_ms"))


def say(name, cost, mean, p99):
    print(f"{name:8} {1e9 * cost:8.0f} ns a request   mean {mean[0]:6.2f} ± {mean[1]:.2f} ms   p99 {p99[0]:6.1f} ± {p99[1]:.1f} ms")


def main():
    instances = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    random.seed(1)
    ours = with_rollsim(instances, max(1, 10_000 // instances))
    say("rollsim", *ours)
    # Ciw looks at every node at every event, so it gets fewer requests.
    for name, run, requests in [("SimPy", with_simpy, 400_000), ("Ciw", with_ciw, 5_000_000 // (instances + 100))]:
        begun = time.perf_counter()
        seconds = requests / (RATE_OF_ONE * instances)
        ended = run(instances, seconds)
        cost = (time.perf_counter() - begun) / len(ended)
        # Neither who came before things were steady nor who would not end in time if its service were long.
        theirs = figures([latency for arrived, latency in ended if 0.5 < arrived < seconds - 1.0])
        say(name, cost, *theirs)
        agrees = all(abs(one[0] - other[0]) <= one[1] + other[1] for one, other in zip(ours[1:], theirs))
        print(f"{'':8} rollsim is {cost / ours[0]:.0f} times as fast; the figures {'agree' if agrees else 'DO NOT AGREE'}")


main()
