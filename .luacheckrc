std = "luajit"
-- Options and the replaceable functions of `vim` are set, not only read.
globals = { "vim" }
max_line_length = 120
exclude_files = { ".tools", "node_modules" }
-- The suites' own words, set by nvim/tests/run.lua.
files["nvim/tests"] = { read_globals = { "t", "describe", "it", "before_each", "after_each", "pending" } }
