#!/usr/bin/env bash
# Writes the documentation of every public module to out/docs, as a site that any web server can serve.
# Uses the toolchain only: symbol graphs from the package manager, pages from docc.
set -euo pipefail
cd "$(dirname "$0")/.."

out=out/docs
work=out/docs-work
rm -rf "$out" "$work"
mkdir -p "$work"

# The C modules cannot be read this way (they are handed the C++ standard's flag) and need no pages,
# and the bundles of tests need not have been built: only other errors count.
swift package dump-symbol-graph --minimum-access-level public --skip-synthesized-members >"$work/build.log" 2>&1 || true
graphs=$(sed -n 's/^Files written to //p' "$work/build.log" | tail -n 1)
if [[ -z $graphs ]] || grep '^error' "$work/build.log" | grep -qvE "symbol graph for '(C[A-Z]|thalwegPackage)"; then
    cat "$work/build.log" >&2
    exit 1
fi

archives=()
for graph in "$graphs"/Thalweg*.symbols.json; do
    module=$(basename "$graph" .symbols.json)
    [[ $module == *@* ]] && continue
    mkdir -p "$work/$module"
    cp "$graphs/$module".symbols.json "$work/$module/"
    cp "$graphs/$module"@*.symbols.json "$work/$module/" 2>/dev/null || true
    catalog=$(find Sources -type d -name "$module.docc" | head -n 1)
    docc convert ${catalog:+"$catalog"} --additional-symbol-graph-dir "$work/$module" \
        --fallback-display-name "$module" --fallback-bundle-identifier "thalweg.$module" \
        --output-path "$work/$module.doccarchive" >"$work/$module.log" 2>&1 || {
        cat "$work/$module.log" >&2
        exit 1
    }
    archives+=("$work/$module.doccarchive")
done

# docc warns of links that lead nowhere; here they are errors.
if grep -h -A 1 "^warning: .* doesn't exist at" "$work"/*.log >&2; then
    echo "docs: links lead nowhere (see above)" >&2
    exit 1
fi

docc merge "${archives[@]}" --synthesized-landing-page-name Thalweg --output-path "$out" >/dev/null
rm -rf "$work"
echo "documentation: $out (for example: python3 -m http.server --directory $out, then /documentation)"
