# Countersign. `make help` lists what there is to do.
#
# Two builds of the same sources: build/release (what is installed) and build/test (ASan, UBSan,
# crash points, a clock that tests can move). CC=clang builds either with clang, into build/*-clang.

SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CC = gcc
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)

PKGS := libmicrohttpd libcurl sqlite3 jansson libfyaml libsodium
WARN := -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wmissing-prototypes -Wcast-qual \
        -Wwrite-strings -Wimplicit-fallthrough -Wvla -Wswitch-enum -Werror
HARD := -fstack-protector-strong -fPIE
ifeq ($(findstring clang,$(CC)),)
HARD += -ftrivial-auto-var-init=zero
SUFFIX :=
else
SUFFIX := -clang
endif
VARIANT ?= release
ifeq ($(VARIANT),test)
MODE := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -DCS_TESTING
else
MODE := -O2 -g -D_FORTIFY_SOURCE=2
endif
B := build/$(VARIANT)$(SUFFIX)
VERSION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)

CFLAGS += -std=c17 -D_GNU_SOURCE -Isrc $(WARN) $(HARD) $(MODE)
LDFLAGS += -pie -Wl,-z,relro,-z,now
LIBS = $(shell pkg-config --libs $(PKGS)) -lpthread -lm

SRC := $(filter-out src/main.c,$(wildcard src/*/*.c))
OBJ := $(SRC:%.c=$(B)/obj/%.o) $(B)/gen/assets.o
SANDBOX := $(wildcard sandbox/*.c)
UNIT := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
TOOLS := $(patsubst tools/%.c,build/tools/%,$(wildcard tools/*.c))
FUZZ := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
VENDOR := build/gen/vendor-preact.js build/gen/vendor-hooks.js build/gen/vendor-htm.js
ASSETS := $(wildcard web/* conf/*.yaml connectors/*.yaml src/store/sql/*.sql docs/openapi.yaml)

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: deps-build ## the main job from end to end, in a scratch folder; AUTO=1 plays the people's part too
	@$(MAKE) -j$(JOBS) build
	@build/release/countersign demo $(if $(PORT),--port $(PORT)) $(if $(AUTO),--auto)

test: deps-test ## everything: unit, scenario, end-to-end, attack, crash; under ASan and UBSan
	@$(MAKE) -j$(JOBS) build tools
	@$(MAKE) -j$(JOBS) VARIANT=test build unit-build
	@tests/run.sh

check: deps-check ## format, lint, cppcheck, clang build, fuzzing for 60 s each, then all tests
	@find src sandbox tests tools bench -name '*.[ch]' | xargs clang-format --dry-run -Werror
	@tools/lint.py
	@$(MAKE) -j$(JOBS) CC=clang build
	@cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr --enable=warning,portability \
	    --suppressions-list=tools/cppcheck.txt --library=tools/cppcheck.cfg -j$(JOBS) -Isrc src sandbox tools
	@$(MAKE) -j$(JOBS) CC=clang VARIANT=test build unit-build
	@tests/run.sh unit build/test-clang
	@$(MAKE) fuzz SECONDS=60
	@$(MAKE) test

build: $(B)/countersign $(B)/sandbox ## the program and the sandbox

tools: $(TOOLS) ## small tools into build/tools

fuzz: deps-check ## every fuzz target for SECONDS (default 60) each
	@$(MAKE) -j$(JOBS) $(FUZZ)
	@tests/fuzz/run.sh $(or $(SECONDS),60)

bench: deps-build ## figures, as ratios to a reference in the same run; see docs/BENCH.md
	@$(MAKE) -j$(JOBS) build $(patsubst bench/%.c,build/bench/%,$(wildcard bench/*.c))
	@bench/run.sh

install: deps-build ## into PREFIX (default /usr/local)
	@$(MAKE) -j$(JOBS) build
	install -D -m 755 build/release/countersign $(DESTDIR)$(PREFIX)/bin/countersign
	install -D -m 644 conf/countersign.service $(DESTDIR)$(PREFIX)/lib/systemd/system/countersign.service
	install -d $(DESTDIR)$(PREFIX)/share/countersign/connectors $(DESTDIR)$(PREFIX)/share/doc/countersign
	install -m 644 connectors/*.yaml $(DESTDIR)$(PREFIX)/share/countersign/connectors
	install -m 644 README.md LICENSE docs/*.md docs/openapi.yaml $(DESTDIR)$(PREFIX)/share/doc/countersign

clean: ## removes what was built
	rm -rf build

deps-%:
	@tools/deps.sh $*

$(B)/countersign: $(B)/obj/src/main.o $(B)/libcountersign.a
	@echo "  LD    $@"; $(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

# The objects as an archive: a test program takes only what it calls.
$(B)/libcountersign.a: $(OBJ)
	@rm -f $@; ar rcs $@ $^

$(B)/sandbox: $(SANDBOX:%.c=$(B)/obj/%.o)
	@echo "  LD    $@"; $(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs jansson) -lpthread -lm

$(B)/obj/src/cli/version.o: CFLAGS += -DCS_VERSION='"$(VERSION)"'

$(B)/obj/%.o: %.c
	@mkdir -p $(@D); echo "  CC    $@"; $(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/gen/assets.o: $(B)/gen/assets.c
	@$(CC) $(CFLAGS) -c -o $@ $<

$(B)/gen/assets.c: $(ASSETS) $(VENDOR) tools/embed.sh
	@mkdir -p $(@D); { printf '%s\n' $(ASSETS); printf 'web/%s\n' $(foreach v,$(VENDOR),$(notdir $(v))=$(v)); } \
	    | tools/embed.sh $(B)/gen >$@.tmp && mv $@.tmp $@

# Preact and htm as they come from npm; a browser needs the one bare import spelled as a path.
build/gen/vendor-preact.js: node_modules/preact/dist/preact.module.js
	@mkdir -p $(@D); sed 's,//# sourceMappingURL.*,,' $< >$@
build/gen/vendor-hooks.js: node_modules/preact/hooks/dist/hooks.module.js
	@mkdir -p $(@D); sed -e 's,from"preact",from"./vendor-preact.js",g' -e 's,//# sourceMappingURL.*,,' $< >$@
build/gen/vendor-htm.js: node_modules/htm/dist/htm.module.js
	@mkdir -p $(@D); sed 's,//# sourceMappingURL.*,,' $< >$@

unit-build: $(UNIT)
$(B)/unit/%: tests/unit/%.c $(B)/libcountersign.a
	@mkdir -p $(@D); echo "  TEST  $@"; $(CC) $(CFLAGS) -MMD -MP $(LDFLAGS) -o $@ $< $(B)/libcountersign.a $(LIBS) -lcmocka

build/tools/%: tools/%.c $(B)/libcountersign.a
	@mkdir -p $(@D); $(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.c,$^) $(B)/libcountersign.a $(LIBS)

build/bench/%: bench/%.c $(wildcard bench/*.h) $(B)/libcountersign.a
	@mkdir -p $(@D); $(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.c,$^) $(B)/libcountersign.a $(LIBS)

# Fuzz targets compile the sources themselves, so that libFuzzer sees the coverage.
FUZZ_FLAGS := -std=c17 -D_GNU_SOURCE -Isrc -O1 -g -fsanitize=fuzzer-no-link,address,undefined \
              -fno-sanitize-recover=all -DCS_TESTING
build/fuzz/obj/%.o: %.c
	@mkdir -p $(@D); clang $(FUZZ_FLAGS) -MMD -MP -c -o $@ $<
build/fuzz/libcountersign.a: $(SRC:%.c=build/fuzz/obj/%.o) $(B)/gen/assets.o
	@rm -f $@; ar rcs $@ $^
build/fuzz/%: tests/fuzz/%.c build/fuzz/libcountersign.a
	@echo "  FUZZ  $@"; clang $(FUZZ_FLAGS) -fsanitize=fuzzer -o $@ $< build/fuzz/libcountersign.a $(LIBS)

-include $(shell find build -name '*.d' 2>/dev/null)

.PHONY: help demo test check build tools fuzz bench install clean unit-build
.SECONDARY:
