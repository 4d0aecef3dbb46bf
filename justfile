# Thin names for the steps; `just --list` shows them. CI calls .ci/run itself.

# Serve on http://127.0.0.1:8080 from ./gdmarket-data
run:
    cargo run --release

# Everything a change has to pass
ci:
    .ci/run

# The tests, or those whose name contains a word
test *words:
    scripts/test {{words}}

# Formatting and lints
lint:
    cargo fmt --all
    cargo clippy --workspace --all-targets --locked -- -D warnings

# The API documentation of all crates
doc:
    cargo doc --workspace --no-deps --document-private-items --open

# Write the generated files
generate:
    cargo run --release -- openapi > docs/openapi.json
    cargo xtask man
    scripts/event-catalogue > docs/event-catalogue.md

# Measure against pgbench and stock cqrs-es
bench:
    cargo bench -p gdmarket-bench
