SHELL := /bin/bash
.DEFAULT_GOAL := help
export TURBO_TELEMETRY_DISABLED := 1
export DO_NOT_TRACK := 1
export MINUTES SEED STORES FAULTS RATE ROUND_S KEEP

READY := . scripts/bootstrap
# Builds what is out of date; says nothing unless it fails.
BUILD := scripts/build-quietly
COMPOSE := docker compose -f docker/compose.yaml
ADMIN_URL ?= http://localhost:8080

.PHONY: help start test build proto up down admin logs ps clean docker docker-logs examples bench bench-check chaos lint pack-check test-load docs sbom api-report

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

start: ## build and run broker, storage and portal in one process
	@$(READY) && $(BUILD) --filter=@gmq/app-standalone && exec env GMQ_CLI=./gmq node --v8-pool-size=1 --max-semi-space-size=16 apps/standalone/dist/main.js $(ARGS)

test: ## run all tests; the last line is the count
	@scripts/test

test-load: ## the portal under load: 5,000 topics, a tail at 20,000 records/s for 60 s, 8 tabs (some minutes)
	@$(READY) && $(BUILD) && pnpm --filter @gmq/portal-tests test-load

build: ## build every package and app
	@$(READY) && pnpm turbo run build --output-logs=new-only

proto: ## generate code from proto/ and lint it
	@$(READY) && buf generate && buf lint

lint: ## run every static gate: format, lint, types, proto, dead code, packed exports
	@scripts/lint

up: ## start the containers
	@$(COMPOSE) up -d --wait

down: ## stop and remove the containers
	@$(COMPOSE) down

ps: ## list the containers
	@$(COMPOSE) ps

logs: ## follow the containers' logs
	@$(COMPOSE) logs -f --tail=100

docker: ## build the container images
	@$(COMPOSE) build

docker-logs: ## print the containers' recent logs
	@$(COMPOSE) logs --no-color --timestamps --tail=500

admin: ## open the admin portal, start it when it is not running (ADMIN_URL)
	@if curl -fsS -o /dev/null --max-time 2 "$(ADMIN_URL)" 2>/dev/null; then \
	  echo "$(ADMIN_URL)"; \
	  if command -v open >/dev/null; then open "$(ADMIN_URL)"; elif command -v xdg-open >/dev/null; then xdg-open "$(ADMIN_URL)"; fi; \
	else \
	  $(READY) && $(BUILD) --filter=@gmq/app-admin && \
	  echo "starting the portal: $(ADMIN_URL)" && exec node apps/admin/dist/main.js $(ARGS); \
	fi

examples: ## run the examples
	@$(READY) && $(BUILD) && cd examples && exec node src/index.ts $(ARGS)

bench: ## measure GMQ beside its baselines (ARGS="--help")
	@$(READY) && pnpm turbo run build --output-logs=errors-only && exec node bench/src/main.ts $(ARGS)

chaos: ## break everything and judge by the promises (MINUTES=30 SEED=… STORES=… MODES=… FAULTS=…; BUGS=1: the seeded bugs)
	@$(READY) && scripts/ensure-redis && pnpm turbo run build --output-logs=errors-only && cd tests/chaos && \
	  if [ "$(BUGS)" = 1 ]; then exec env GMQ_TEST_BUGS=1 vitest run src/bugs; else exec node src/long-run.ts; fi

pack-check: ## pack every package, install it into empty projects and try it under each Node (GMQ_PACK_NODES=22.23.3,… or current)
	@$(READY) && pnpm turbo run build --output-logs=errors-only && pnpm --filter @gmq/pack-check run check

bench-check: ## compare the bench's ratios with the kept baseline and report (ARGS=--strict fails)
	@$(READY) && pnpm turbo run build --output-logs=errors-only && exec node bench/src/main.ts --check $(ARGS)

api-report: ## write what the packages export into packages/*/api (make lint holds it against what is built)
	@$(READY) && $(BUILD) --filter="./packages/*" && exec node scripts/api-report.mjs --update

docs: ## build the docs site with the API reference and check its links (docs/.vitepress/dist)
	@$(READY) && $(BUILD) --filter=@gmq/nestjs --filter=@gmq/otel --filter=@gmq/storage && exec pnpm --silent --filter @gmq/docs site

sbom: ## write a CycloneDX list of what each app is made of (sbom/*.cdx.json)
	@scripts/sbom

clean: ## remove what was built (not .tools, not node_modules)
	@rm -rf .turbo packages/*/{dist,.turbo,.reports,coverage} apps/*/{dist,.turbo,.reports,coverage} \
	  docs/{api,.turbo,.reports} docs/.vitepress/{cache,dist} sbom tests/*/{.turbo,.reports} bench/{.turbo,.reports} examples/{.turbo,.reports} node_modules/.cache/turbo
