std = "luajit"
-- Options and the replaceable functions of `vim` are set, not only read.
globals = { "vim" }
max_line_length = 120
exclude_files = { ".tools", "node_modules" }
-- The suites' own words, set by nvim/tests/run.lua.
files["nvim/tests"] = { read_globals = { "t", "describe", "it", "before_each", "after_each", "pending" } }
-- Generated (`npm run lua-types`): a type is one line, however much it names.
files["nvim/lua/suggestion-review/types.lua"] = { max_line_length = false }
