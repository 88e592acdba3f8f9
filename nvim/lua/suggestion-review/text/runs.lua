--- Which files do something by themselves: programs read or run them because of where they are or what they are
--- called, without anybody asking for it. One table; pure, by path and content. A reason is a mark for the reviewer,
--- never a refusal.
local M = {}

--- Names and places with what makes them run. `name` matches the last part of the path, `path` all of it (both in lower
--- case, Lua patterns, whole); the first that matches counts.
---@type { name?: string, path?: string, reason: string }[]
local RULES = {
  -- The editor.
  { name = "%.?exrc", reason = "Neovim runs it in this folder ('exrc')" },
  { name = "%.?_?n?vimrc", reason = "Neovim or Vim runs it in this folder ('exrc')" },
  { name = "%.nvim%.lua", reason = "Neovim runs it in this folder ('exrc')" },
  { name = "%.nvimrc%.lua", reason = "Neovim runs it in this folder ('exrc')" },
  { name = "%.lvimrc", reason = "a plugin of the editor runs it in this folder" },
  { name = "%.lazy%.lua", reason = "lazy.nvim runs it in this folder" },
  { name = "%.neoconf%.json", reason = "the editor takes settings from it" },
  { name = "%.editorconfig", reason = "editors take settings from it" },
  { name = "%.dir%-locals%.el", reason = "Emacs evaluates it" },
  { path = "%.vscode/.+", reason = "VS Code takes tasks, programs and settings from it" },
  { path = ".+/%.vscode/.+", reason = "VS Code takes tasks, programs and settings from it" },
  { name = ".+%.code%-workspace", reason = "VS Code takes tasks and settings from it" },
  { path = "%.idea/.+", reason = "IDEs take run configurations from it" },
  { path = "%.zed/.+", reason = "Zed takes tasks and settings from it" },
  { path = "%.devcontainer/.+", reason = "editors run its commands when they open the folder" },
  { name = "%.devcontainer%.json", reason = "editors run its commands when they open the folder" },
  { name = "%.gdbinit", reason = "gdb runs it in this folder" },
  { name = "%.lldbinit", reason = "lldb runs it in this folder" },
  -- The shell and what sets it up.
  { name = "%.envrc", reason = "direnv runs it on entering the folder" },
  { name = "%.env", reason = "many programs take their environment from it" },
  { name = "%.?mise%.[%w.]*toml", reason = "mise takes tools, hooks and the environment from it" },
  { path = "%.mise/.+", reason = "mise takes tools, hooks and tasks from it" },
  { path = "%.config/mise.+", reason = "mise takes tools, hooks and the environment from it" },
  { path = "mise/.+%.toml", reason = "mise takes tools, hooks and the environment from it" },
  { name = "%.tool%-versions", reason = "asdf and mise run the tools it names" },
  { name = "%.autoenv.*", reason = "autoenv runs it on entering the folder" },
  { name = "flake%.nix", reason = "Nix builds and runs what it says" },
  { name = "shell%.nix", reason = "Nix runs its shell hook" },
  -- git.
  { path = "%.husky/.+", reason = "git runs it as a hook (husky)" },
  { path = "%.githooks/.+", reason = "git runs it as a hook where core.hooksPath says so" },
  { path = "%.?git%-hooks/.+", reason = "git runs it as a hook where core.hooksPath says so" },
  { path = "hooks/[%w-]+", reason = "git runs it as a hook where core.hooksPath says so" },
  { name = "%.pre%-commit%-config%.ya?ml", reason = "pre-commit runs it at every commit" },
  { name = "%.?lefthook[%w-]*%.%w+", reason = "lefthook runs it as a git hook" },
  { name = "%.gitattributes", reason = "git runs the filters and drivers it names" },
  { name = "%.gitmodules", reason = "git fetches and checks out the repositories it names" },
  { name = "%.lfsconfig", reason = "git LFS takes the server it talks to from it" },
  { name = "%.gitconfig", reason = "git may take settings from it (include.path)" },
  { name = "%.mailmap", reason = "git shows other names for authors because of it" },
  -- Continuous integration.
  { path = "%.github/workflows/.+", reason = "CI runs it, with the repository's secrets" },
  { path = "%.github/actions/.+", reason = "CI runs it, with the repository's secrets" },
  { path = "%.gitea/workflows/.+", reason = "CI runs it, with the repository's secrets" },
  { path = "%.forgejo/workflows/.+", reason = "CI runs it, with the repository's secrets" },
  { name = "%.gitlab%-ci%.ya?ml", reason = "CI runs it, with the repository's secrets" },
  { path = "%.circleci/.+", reason = "CI runs it, with the repository's secrets" },
  { path = "%.buildkite/.+", reason = "CI runs it, with the repository's secrets" },
  { path = "%.woodpecker.*", reason = "CI runs it, with the repository's secrets" },
  { name = "%.travis%.ya?ml", reason = "CI runs it, with the repository's secrets" },
  { name = "%.drone%.ya?ml", reason = "CI runs it, with the repository's secrets" },
  { name = "%.cirrus%.ya?ml", reason = "CI runs it, with the repository's secrets" },
  { name = "%.?appveyor%.ya?ml", reason = "CI runs it, with the repository's secrets" },
  { name = "azure%-pipelines.*%.ya?ml", reason = "CI runs it, with the repository's secrets" },
  { name = "bitbucket%-pipelines%.ya?ml", reason = "CI runs it, with the repository's secrets" },
  { name = "jenkinsfile.*", reason = "CI runs it, with the repository's secrets" },
  -- Agents.
  { path = "%.opencode/.+", reason = "opencode loads plugins, agents and commands from it" },
  { path = ".+/%.opencode/.+", reason = "opencode loads plugins, agents and commands from it" },
  { name = "opencode%.jsonc?", reason = "opencode takes its settings, plugins and permissions from it" },
  { name = "%.mcp%.json", reason = "agents start the programs it names" },
  { name = "agents?%.md", reason = "agents take it as instructions" },
  { name = "agents%.override%.md", reason = "agents take it as instructions" },
  { name = "claude%.%w*%.?md", reason = "agents take it as instructions" },
  { name = "gemini%.md", reason = "agents take it as instructions" },
  { name = "context%.md", reason = "agents take it as instructions" },
  { name = "skill%.md", reason = "agents take it as instructions" },
  { name = "copilot%-instructions%.md", reason = "agents take it as instructions" },
  { name = "%.cursorrules", reason = "agents take it as instructions" },
  { name = "%.windsurfrules", reason = "agents take it as instructions" },
  { name = "%.clinerules", reason = "agents take it as instructions" },
  { path = "%.claude/.+", reason = "agents take instructions, hooks and permissions from it" },
  { path = "%.codex/.+", reason = "agents take instructions and settings from it" },
  { path = "%.cursor/.+", reason = "agents take instructions and programs to start from it" },
  { path = "%.gemini/.+", reason = "agents take instructions and settings from it" },
  { path = "%.agents/.+", reason = "agents take it as instructions" },
  -- Builds, tests and package managers.
  { name = "g?n?u?makefile", reason = "make runs it" },
  { name = ".+%.mk", reason = "make runs it" },
  { name = "%.?justfile", reason = "just runs it" },
  { name = "taskfile%.ya?ml", reason = "task runs it" },
  { name = "rakefile", reason = "rake runs it" },
  { name = "gemfile", reason = "bundler runs it" },
  { name = ".+%.gemspec", reason = "bundler runs it" },
  { name = "dockerfile.*", reason = "a container build runs it" },
  { name = "containerfile.*", reason = "a container build runs it" },
  { name = "docker%-compose.*%.ya?ml", reason = "docker compose starts what it says" },
  { name = "compose.*%.ya?ml", reason = "docker compose starts what it says" },
  { name = "vagrantfile", reason = "vagrant runs it" },
  { name = "%.npmrc", reason = "npm takes registries and scripts' settings from it" },
  { name = "%.yarnrc.*", reason = "yarn runs the program and plugins it names" },
  { path = "%.yarn/.+", reason = "yarn runs the programs and plugins in it" },
  { name = "%.pnp%.[%w.]+", reason = "node runs it before everything else" },
  { name = "%.pnpmfile%.%w+", reason = "pnpm runs it at every install" },
  { name = "bunfig%.toml", reason = "bun runs what it preloads" },
  { name = "deno%.jsonc?", reason = "deno runs its tasks" },
  { name = "binding%.gyp", reason = "npm builds and runs it at install" },
  { name = "%.[%w-]+rc%.[cm]?[jt]s", reason = "a tool runs it as its configuration" },
  { name = ".+%.config%.[cm]?[jt]s", reason = "a tool runs it as its configuration" },
  { name = "gruntfile%.%w+", reason = "grunt runs it" },
  { name = "gulpfile%..+", reason = "gulp runs it" },
  { name = "build%.rs", reason = "cargo runs it at every build" },
  { path = "%.cargo/config.*", reason = "cargo takes the programs it runs from it" },
  { path = ".+/%.cargo/config.*", reason = "cargo takes the programs it runs from it" },
  { name = "cargo%.toml", reason = "cargo builds and runs the packages it names" },
  { name = "rust%-toolchain.*", reason = "rustup installs and runs the toolchain it names" },
  { name = "setup%.py", reason = "pip runs it at install" },
  { name = "setup%.cfg", reason = "pip and test runners take settings from it" },
  { name = "pyproject%.toml", reason = "pip runs the build system it names" },
  { name = "conftest%.py", reason = "pytest runs it before the tests" },
  { name = "pytest%.ini", reason = "pytest loads the plugins it names" },
  { name = "tox%.ini", reason = "tox runs its commands" },
  { name = "noxfile%.py", reason = "nox runs it" },
  { name = "sitecustomize%.py", reason = "Python runs it at every start" },
  { name = "usercustomize%.py", reason = "Python runs it at every start" },
  { name = ".+%.pth", reason = "Python runs it at every start where it is installed" },
  { name = "composer%.json", reason = "composer runs its scripts" },
  { name = "gradlew.*", reason = "it is what starts the build" },
  { name = "mvnw.*", reason = "it is what starts the build" },
  { path = "gradle/wrapper/.+", reason = "it is what starts the build" },
  { path = "%.mvn/.+", reason = "maven takes extensions and options from it" },
  { name = ".+%.gradle", reason = "gradle runs it at every build" },
  { name = ".+%.gradle%.kts", reason = "gradle runs it at every build" },
  { name = "pom%.xml", reason = "maven runs the plugins it names" },
  { name = "build%.zig", reason = "zig runs it at every build" },
  { name = "mix%.exs", reason = "mix runs it" },
  { name = "build%.sbt", reason = "sbt runs it" },
  { name = "%.bazelrc", reason = "bazel takes the programs it runs from it" },
  { name = "build%.bazel", reason = "bazel runs its rules" },
  { name = "workspace%.?b?a?z?e?l?", reason = "bazel fetches and runs what it names" },
  { name = "module%.bazel", reason = "bazel fetches and runs what it names" },
  { name = "meson%.build", reason = "meson runs it at every configuration" },
  { name = "cmakelists%.txt", reason = "cmake runs it at every configuration" },
  { name = "configure", reason = "it is what starts the build" },
  { name = "configure%.ac", reason = "autoconf makes the build's first program of it" },
  { name = "directory%.build%.%w+", reason = "msbuild runs it at every build" },
  { name = ".+%.[cfv][sbc]?proj", reason = "msbuild runs its targets" },
}

---@class (exact) SuggestionReview.RunsQuery
---@field path string after the change
---@field mode? string git's mode after the change
---@field old_mode? string git's mode before
---@field added? string text that the change brings
---@field whole? boolean `added` is all of the file

for _, rule in ipairs(RULES) do
  rule.name = rule.name and "^" .. rule.name .. "$"
  rule.path = rule.path and "^" .. rule.path .. "$"
end

--- What a path tells: why its file does something by itself, or that it is a "package.json".
---@class (exact) SuggestionReview.RunsByPath
---@field reason? string
---@field package? boolean

--- What was found before: a file has many hunks.
---@type table<string, SuggestionReview.RunsByPath>
local known = {}

---@param path string
---@return SuggestionReview.RunsByPath
local function by_path(path)
  local found = known[path]
  if not found then
    local lower = path:lower()
    local name = lower:match("[^/]*$")
    found = { package = name == "package.json" or nil }
    for _, rule in ipairs(RULES) do
      if (rule.name and name:find(rule.name)) or (rule.path and lower:find(rule.path)) then
        found.reason = rule.reason
        break
      end
    end
    known[path] = found
  end
  return found
end

--- Whether a path alone tells nothing of its file.
---@param path string
---@return boolean
function M.is_quiet(path)
  local told = by_path(path)
  return not told.reason and not told.package
end

--- What "package.json" does depends on what is in it.
---@param query SuggestionReview.RunsQuery
---@return string|nil
local function package_json(query)
  local text = query.whole and query.added
  if
    text
    and not (
      text:find('"scripts"', 1, true)
      or text:find("ependencies", 1, true)
      or text:find("\\u", 1, true)
    )
  then
    return
  end
  return "npm runs its scripts, and those of the packages it names"
end

--- Why a file does something by itself after the change; nothing for most.
---@param query SuggestionReview.RunsQuery
---@return string[]
function M.reasons(query)
  local reasons = {}
  local told = by_path(query.path)
  reasons[1] = told.reason or (told.package and package_json(query)) or nil
  if query.mode == "100755" and query.old_mode ~= "100755" then
    reasons[#reasons + 1] = "it becomes a program (executable)"
  end
  local added = query.added
  if added then
    for _, pattern in ipairs({ "%f[%S]vi:%s*%a", "%f[%S][Vv]im[<>=%d]*:%s*%a", "%sex:%s*%a" }) do
      if added:find(pattern) then
        reasons[#reasons + 1] = "it has a modeline: editors that open it take options from it"
        break
      end
    end
  end
  return reasons
end

return M
