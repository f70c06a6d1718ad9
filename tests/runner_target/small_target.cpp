// Building the small root: bash and a few tools with the libraries that ldd names.
#include "tests/runner_target/small_target.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <set>
#include <variant>

#include "kernels/base/atomic_file.h"
#include "runner/commit_process.h"
#include "runner/safe_path.h"
#include "runner/target_file.h"
#include "runner/trial_keeper.h"

namespace gf::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPolicy = R"(version = 1
[[grant]]
class = "unnamed_path"
rules = ["*"]
paths = ["/**"]
origins = ["vetted", "model"]
)";

int commit_entry(Channel& channel, const nlohmann::json& request, std::vector<Fd>& fds) {
  return commit_main(channel, request, fds);
}

std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  std::string text;
  char buffer[4096];
  while (const size_t got = std::fread(buffer, 1, sizeof buffer, pipe.get())) text.append(buffer, got);
  return text;
}

void copy_with_libraries(const std::string& program, const fs::path& root, std::set<std::string>& copied) {
  if (program.empty() || !copied.insert(program).second) return;
  const fs::path to = root.native() + (program.starts_with("/usr/") ? program : "/usr" + program);
  fs::create_directories(to.parent_path());
  fs::copy_file(fs::canonical(program), to, fs::copy_options::skip_existing);
}

// Made once for each test program; copied for each test.
const fs::path& base_root() {
  static const TemporaryFolder folder;
  static const fs::path root = [] {
    fs::path made = folder.path() / "base";
    for (const char* name : {"etc", "var/log", "var/tmp", "tmp", "root", "usr/bin", "usr/lib", "usr/lib64", "usr/sbin"})
      fs::create_directories(made / name);
    for (const char* name : {"bin", "lib", "lib64", "sbin"})
      fs::create_symlink(std::string("usr/") + name, made / name);
    std::set<std::string> copied;
    for (const char* tool :
         {"bash",     "sh",       "cat",   "chmod",  "chown",   "cp",      "ln",  "ls",     "mkdir", "mkfifo",
          "mknod",    "mv",       "rm",    "rmdir",  "sleep",   "touch",   "sed", "setsid", "head",  "stat",
          "readlink", "truncate", "mount", "umount", "unshare", "nsenter", "id",  "env",    "dd"}) {
      const std::string program = std::string("/usr/bin/") + tool;
      copy_with_libraries(program, made, copied);
      std::string text = output_of("ldd " + program + " 2>/dev/null | grep -o '/[^ ]*'");
      while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        copy_with_libraries(text.substr(0, end), made, copied);
        text.erase(0, end + 1);
      }
    }
    fs::permissions(made / "tmp", fs::perms::all | fs::perms::sticky_bit);
    fs::permissions(made / "var/tmp", fs::perms::all | fs::perms::sticky_bit);
    return made;
  }();
  return root;
}

Gate open_gate() {
  std::string text = kPolicy;
  for (const char* name : {"setuid", "setgid", "file_capabilities", "sshd", "sudoers", "device_node"})
    text += "[[grant]]\nclass = \"" + std::string(name) + "\"\nrules = [\"*\"]\norigins = [\"vetted\", \"model\"]\n";
  return Gate(Policy::parse(text, "policy.toml", "/"), Policy::none(), {});
}

template <typename T, typename From>
T must_approve(const From& from) {
  static const Gate gate = open_gate();
  auto answer = gate.approve(from);
  if (const auto* refusal = std::get_if<Refusal>(&answer))
    throw Error(Code::internal, "the test's gate refused: ", refusal->rule, ": ", refusal->reason);
  return std::move(std::get<T>(answer));
}

void describe_tree(const fs::path& host, const std::string& path, std::map<std::string, std::string>& lines) {
  const Fd folder = open_directory(host);
  for (const std::string& name : names_in(folder, host.native())) {
    const FoundFile found = read_entry(folder, name, Content::digest, name);
    std::string line = describe(found.state) + (found.state.type == FileType::regular ? found.state.content.hex() : "");
    for (const auto& [key, value] : found.state.xattrs) line += " " + key + "=" + value;
    lines[path + "/" + name] = line;
    if (found.state.type == FileType::directory) describe_tree(host / name, path + "/" + name, lines);
  }
}

}  // namespace

bool can_make_trials() {
  static const bool can = [] {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(::unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID) == 0 ? 0 : 1);
    int status = 1;
    ::waitpid(child, &status, 0);
    return ::geteuid() == 0 && status == 0;
  }();
  return can;
}

SmallTarget::SmallTarget(std::vector<EntryPoint> entries) : entries_(std::move(entries)) {
  if (entries_.empty()) entries_ = {{"trial", &trial_main}, {"commit", &commit_entry}};
  launcher_ = Launcher::start(entries_);
  fs::copy(base_root(), root(), fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  fs::permissions(root() / "tmp", fs::perms::all | fs::perms::sticky_bit);
  write("/etc/issue", "hello\n");
  write("/etc/conf.d/a", "a\n");
  write("/etc/conf.d/b", "b\n", 0600);
}

TargetConfig SmallTarget::config() const {
  TargetConfig config;
  config.path = root();
  config.state_folder = state();
  config.upper_limit_bytes = 64 << 20;
  return config;
}

Target& SmallTarget::target() {
  if (!target_) target_ = Target::open(config(), *launcher_);
  return *target_;
}

void SmallTarget::write(const std::string& path, const std::string& text, unsigned mode) {
  const fs::path file = root().native() + path;
  fs::create_directories(file.parent_path());
  const Fd opened = open_file(file, O_WRONLY | O_CREAT | O_TRUNC, mode);
  write_all(opened, as_bytes(text), path);
  ::fchmod(opened.get(), mode);
}

std::string SmallTarget::read(const std::string& path) const { return read_text_file(root().native() + path, 1 << 20); }

ApprovedScript approved(const std::string& script) {
  return must_approve<ApprovedScript>(Proposal{"rule", Origin::vetted, "bash", script, {}});
}
ApprovedChanges approved(const ChangeSet& changes) { return must_approve<ApprovedChanges>(changes); }

ScriptResult run(Trial& trial, const std::string& script) {
  ScriptLimits limits;
  limits.seconds = 20;
  return trial.run_check({"/bin/bash", "-c", script}, limits);
}

ChangeSet changes_of(Trial& trial, std::vector<std::string> named) {
  return trial.changes("rule", Origin::vetted, std::move(named));
}

CommitResult commit_script(Target& target, const std::string& script, const std::string& run_id) {
  const auto trial = target.branch();
  const ScriptResult result = run(*trial, script);
  if (result.exit_code != 0) throw Error(Code::internal, "the test's script failed: ", result.output);
  return target.commit(*trial, approved(changes_of(*trial)), run_id);
}

std::map<std::string, std::string> snapshot(const fs::path& root) {
  std::map<std::string, std::string> lines;
  describe_tree(root, "", lines);
  return lines;
}

std::string in_words(const ChangeSet& changes) {
  std::string text;
  for (const Change& change : changes.changes) {
    text += (text.empty() ? "" : ", ") + change.path;
    if (change.before.type == FileType::absent)
      text += " created";
    else if (change.after.type == FileType::absent)
      text += " deleted";
    else if (change.content_changed)
      text += " content";
    else
      text += " metadata";
  }
  return text;
}

}  // namespace gf::test
