std = "luajit"
read_globals = { "vim" }
globals = { "vim.g", "vim.b", "vim.w", "vim.o", "vim.bo", "vim.wo", "vim.opt", "vim.opt_local", "vim.env" }
max_line_length = 120
exclude_files = { ".tools", "node_modules" }
-- The suites' own words, set by nvim/tests/run.lua.
files["nvim/tests"] = { read_globals = { "t", "describe", "it", "before_each", "after_each", "pending" } }
