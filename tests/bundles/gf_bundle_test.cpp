// The program as an administrator meets it, and the manual's stock-tool lines exactly as printed.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "bundles/create.h"
#include "bundles/pki.h"
#include "kernels/base/atomic_file.h"
#include "tests/support/catch.h"

namespace gf::test {
namespace {

namespace fs = std::filesystem;

struct Outcome {
  int status;
  std::string output;  // stdout and stderr
};

// A folder with a development PKI, a checkpoint and m.toml, and the program to run on them.
struct Desk {
  TemporaryFolder folder;

  Desk() {
    REQUIRE(run("dev-pki pki").status == 0);
    fs::create_directories(folder / "checkpoint/.cache");
    write_atomically(folder / "checkpoint/config.json", "{}");
    write_atomically(folder / "checkpoint/tokenizer.json", "{\"a\":1}");
    write_atomically(folder / "checkpoint/README.md", "text");
    write_atomically(folder / "checkpoint/.cache/x", "hidden");
    write_atomically(folder / "checkpoint/model.safetensors", std::string(9000000, 'w'));
    write_atomically(folder / "job.json", "{\"rules\":[]}");
    write_manifest("");
  }
  void write_manifest(const std::string& more) {
    write_atomically(folder / "m.toml",
                     "stream = \"demo\"\nversion = 3\nexpires = \"2100-01-01\"\ncreated = \"2026-10-01\"\n" + more +
                         "[[file]]\nname = \"job.json\"\npath = \"job.json\"\nkind = \"job\"\n"
                         "[[folder]]\npath = \"checkpoint\"\nprefix = \"model\"\n");
  }
  Outcome shell(const std::string& line) {
    const std::string output = (folder / "output").native();
    const int status =
        std::system(("cd '" + folder.path().native() + "' && (" + line + ") > '" + output + "' 2>&1").c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_text_file(output, 1U << 24)};
  }
  Outcome run(const std::string& arguments) { return shell("'" GF_BIN_DIR "/gf-bundle' " + arguments); }
  void make_signed() {
    REQUIRE(run("create --manifest m.toml -o x.gfb").status == 0);
    REQUIRE(run("sign --key pki/signer1.key --cert pki/signer1.pem --chain pki/chain.pem x.gfb").status == 0);
  }
};

// The first shell block after this heading of FORMAT.md.
std::string manual_block(const std::string& heading) {
  const std::string text = read_text_file(fs::path(GF_SOURCE_DIR) / "bundles/FORMAT.md", 1U << 20);
  const size_t at = text.find("```sh\n", text.find("## " + heading + "\n"));
  REQUIRE(at != std::string::npos);
  return text.substr(at + 6, text.find("```", at + 6) - at - 6);
}

}  // namespace

TEST_CASE("the_manuals_stock_tool_lines_verify_a_bundle", "[bundles]") {
  Desk desk;
  desk.make_signed();
  fs::create_directory(desk.folder / "audit");
  write_atomically(desk.folder / "audit/lines.sh",
                   "set -euo pipefail\n" + manual_block("Checking a bundle with stock tools"));
  const std::string line = "cd audit && BUNDLE=../x.gfb ANCHOR=../pki/anchors/root.pem bash lines.sh";
  const Outcome good = desk.shell(line);
  INFO(good.output);
  CHECK(good.status == 0);
  CHECK_THAT(good.output, Catch::Matchers::Contains("Verification successful"));
  CHECK_THAT(good.output, Catch::Matchers::Contains("model/model.safetensors: OK"));

  std::fstream file(desk.folder / "x.gfb", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096 + 40);
  file.put('#');
  file.close();
  fs::remove_all(desk.folder / "audit/files");
  CHECK(desk.shell(line).status != 0);
}

TEST_CASE("the_manuals_first_lines_make_and_unpack_a_bundle", "[bundles]") {
  Desk desk;
  fs::remove_all(desk.folder / "pki");
  write_atomically(desk.folder / "lines.sh", "set -euo pipefail\n" + manual_block("Making a bundle"));
  const Outcome outcome = desk.shell("PATH='" GF_BIN_DIR "':$PATH bash lines.sh");
  INFO(outcome.output);
  CHECK(outcome.status == 0);
  CHECK_THAT(outcome.output, Catch::Matchers::Contains("ACCEPTED"));
}

TEST_CASE("the_same_inputs_give_the_same_bytes", "[bundles]") {
  Desk desk;
  REQUIRE(desk.run("create --manifest m.toml -o a.gfb").status == 0);
  REQUIRE(desk.run("create --manifest m.toml -o b.gfb").status == 0);
  CHECK(desk.shell("cmp a.gfb b.gfb").status == 0);
}

TEST_CASE("every_line_of_inspect_says_unverified", "[bundles]") {
  Desk desk;
  desk.make_signed();
  std::istringstream lines(desk.run("inspect x.gfb").output);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) CHECK(line.starts_with("UNVERIFIED "));
  CHECK(count > 8);
  const auto json = nlohmann::json::parse(desk.run("inspect --json x.gfb").output);
  CHECK(json["verified"] == false);
}

TEST_CASE("verify_writes_no_state_and_unpack_does", "[bundles]") {
  Desk desk;
  desk.make_signed();
  const Outcome verified = desk.run("verify --trust pki/trust.toml --files --explain x.gfb");
  INFO(verified.output);
  CHECK(verified.status == 0);
  CHECK_THAT(verified.output, Catch::Matchers::Contains("step 8 tar"));
  CHECK_FALSE(fs::exists(desk.folder / "pki/state"));
  CHECK(desk.run("unpack --trust pki/trust.toml --to store x.gfb").status == 0);
  CHECK(fs::exists(desk.folder / "pki/state/state.json"));
  const auto json = nlohmann::json::parse(desk.run("unpack --json --trust pki/trust.toml --to store x.gfb").output);
  CHECK(json["bytes_copied"] == 0);
  CHECK(json["files"].size() == 5);
}

TEST_CASE("a_checkpoint_folder_gets_its_kinds_by_file_name", "[bundles]") {
  Desk desk;
  desk.make_signed();
  const auto json = nlohmann::json::parse(desk.run("verify --json --trust pki/trust.toml x.gfb").output);
  std::map<std::string, std::string> kinds;
  for (const auto& file : json["files"]) kinds[file["name"]] = file["kind"];
  CHECK(kinds == std::map<std::string, std::string>{{"job.json", "job"},
                                                    {"model/README.md", "other"},
                                                    {"model/config.json", "model-config"},
                                                    {"model/model.safetensors", "weights"},
                                                    {"model/tokenizer.json", "tokenizer"}});
  CHECK(kind_of_checkpoint_file("a/model.safetensors.index.json") == Kind::weights);
}

TEST_CASE("two_signers_sign_one_after_the_other_and_no_key_twice", "[bundles]") {
  Desk desk;
  desk.make_signed();
  const Outcome again = desk.run("sign --key pki/signer1.key --cert pki/signer1.pem --chain pki/chain.pem x.gfb");
  CHECK(again.status == static_cast<int>(Code::input));
  CHECK_THAT(again.output, Catch::Matchers::Contains("has signed it already"));
  CHECK(desk.run("sign --key pki/signer2.key --cert pki/signer2.pem --chain pki/chain.pem x.gfb").status == 0);
  CHECK(desk.shell("sed -i 's/^default = 1$/default = 2/' pki/trust.toml").status == 0);
  const Outcome verified = desk.run("verify --trust pki/trust.toml x.gfb");
  INFO(verified.output);
  CHECK(verified.status == 0);
  CHECK(desk.shell("ls -A | grep part").output.empty());
}

TEST_CASE("a_report_key_cannot_sign_bundles_under_the_starter_trust", "[bundles]") {
  Desk desk;
  REQUIRE(desk.run("create --manifest m.toml -o x.gfb").status == 0);
  REQUIRE(desk.run("sign --key pki/report.key --cert pki/report.pem --chain pki/chain.pem x.gfb").status == 0);
  CHECK(desk.run("verify --trust pki/trust.toml x.gfb").status == static_cast<int>(Code::not_trusted));
}

TEST_CASE("wrong_uses_have_their_own_exit_codes", "[bundles]") {
  Desk desk;
  desk.make_signed();
  CHECK(desk.run("verify x.gfb").status == static_cast<int>(Code::usage));
  CHECK(desk.run("polish x.gfb").status == static_cast<int>(Code::usage));
  CHECK(desk.run("--version").status == 0);
  CHECK(desk.run("verify --trust pki/trust.toml none.gfb").status == static_cast<int>(Code::io));
  CHECK(desk.run("verify --trust none.toml x.gfb").status == static_cast<int>(Code::io));
  CHECK(desk.run("create --manifest m.toml -o x.gfb").status == static_cast<int>(Code::io));
  CHECK(desk.run("create --manifest m.toml -o x.gfb --force").status == 0);
  CHECK(desk.run("verify --trust pki/trust.toml x.gfb").status == static_cast<int>(Code::not_trusted));
  CHECK(desk.run("dev-pki pki").status == static_cast<int>(Code::input));
  const Outcome failed = desk.shell("'" GF_BIN_DIR "/gf-bundle' --json verify --trust pki/trust.toml x.gfb 2>errors");
  CHECK(nlohmann::json::parse(failed.output)["error"]["code"] == static_cast<int>(Code::not_trusted));
}

TEST_CASE("mistakes_in_the_create_manifest_are_named_by_line", "[bundles]") {
  Desk desk;
  const auto refused = [&](const std::string& more, const std::string& words) {
    desk.write_manifest(more);
    const Outcome outcome = desk.run("create --manifest m.toml -o y.gfb");
    INFO(outcome.output);
    CHECK(outcome.status == static_cast<int>(Code::input));
    CHECK_THAT(outcome.output, Catch::Matchers::Contains(words));
    CHECK_FALSE(fs::exists(desk.folder / "y.gfb"));
  };
  refused("streem = 1\n", "m.toml:5:1: unknown key \"streem\"");
  refused("[[file]]\nname = \"a b\"\npath = \"job.json\"\nkind = \"job\"\n", "a character other than");
  refused("[[file]]\nname = \"a\"\npath = \"none\"\nkind = \"job\"\n", "expected a regular file");
  refused("[[file]]\nname = \"a\"\npath = \"job.json\"\nkind = \"jobs\"\n", "expected one of weights");
  refused("[[file]]\nname = \"job.json\"\npath = \"job.json\"\nkind = \"job\"\n", "differ at most in case");
}

TEST_CASE("private_keys_of_the_development_pki_are_the_owners_alone", "[bundles]") {
  Desk desk;
  CHECK(desk.shell("find pki -name '*.key' -perm 0600 | wc -l").output == "5\n");
  CHECK(desk.shell("find pki -name '*.key' ! -perm 0600").output.empty());
}

TEST_CASE("a_full_file_system_leaves_nothing_half_done", "[bundles]") {
  if (::geteuid() != 0) GF_SKIP("needs root: a small file system in a mount namespace");
  Desk desk;
  desk.make_signed();
  fs::create_directory(desk.folder / "small");
  // Every size runs out at another write; the last has room for all.
  int full = 0;
  for (const char* size : {"64k", "1m", "4m", "8m", "8800k", "9200k", "32m"}) {
    const Outcome outcome =
        desk.shell("unshare -m sh -c 'mount -t tmpfs -o size=" + std::string(size) +
                   " none small && \"" GF_BIN_DIR
                   "/gf-bundle\" unpack --trust pki/trust.toml --to small/store "
                   "x.gfb; status=$?; find small/store/bundles small/store/incoming -type f | wc -l; exit $status'");
    INFO(size << ": " << outcome.output);
    if (outcome.status == 0) {
      CHECK_THAT(outcome.output, Catch::Matchers::EndsWith("ACCEPTED\n1\n"));
      continue;
    }
    ++full;
    CHECK(outcome.status == static_cast<int>(Code::no_space));
    CHECK_THAT(outcome.output, Catch::Matchers::EndsWith("\n0\n"));
    CHECK_FALSE(fs::exists(desk.folder / "pki/state/state.json"));
  }
  CHECK(full >= 4);
  CHECK(fs::exists(desk.folder / "pki/state/state.json"));
}

TEST_CASE("a_file_size_limit_while_creating_or_signing_leaves_the_old_file", "[bundles]") {
  Desk desk;
  desk.make_signed();
  const std::string before = desk.shell("sha384sum x.gfb").output;
  const std::string limited = "ulimit -f 2000; trap '' XFSZ; '" GF_BIN_DIR "/gf-bundle' ";
  CHECK(desk.shell(limited + "sign --key pki/signer2.key --cert pki/signer2.pem --chain pki/chain.pem x.gfb").status ==
        static_cast<int>(Code::io));
  CHECK(desk.shell(limited + "create --manifest m.toml -o y.gfb").status == static_cast<int>(Code::io));
  CHECK(desk.shell("sha384sum x.gfb").output == before);
  CHECK(desk.shell("ls -A | grep -c -e part -e y.gfb").output == "0\n");
}

}  // namespace gf::test
