// gf-bundle: create, sign, inspect, verify and unpack bundles; make a development PKI.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bundles/bundle.h"
#include "bundles/create.h"
#include "bundles/describe.h"
#include "bundles/pki.h"
#include "bundles/store.h"
#include "kernels/base/error.h"

namespace gf {
namespace {

namespace fs = std::filesystem;

struct Options {
  bool json = false;
  bool force = false;
  bool explain = false;
  bool plain_digests = false;
  fs::path manifest;
  fs::path out;
  fs::path bundle;
  fs::path key;
  fs::path certificate;
  std::vector<fs::path> chain;
  fs::path trust;
  fs::path store;
  fs::path folder;
};

// A line that counts up, on a terminal only and at most ten times a second.
class Meter {
 public:
  Meter(std::string what, bool quiet) : what_(std::move(what)), shown_(!quiet && ::isatty(STDERR_FILENO) == 1) {}
  ~Meter() {
    if (drawn_) std::fputs("\r\x1b[K", stderr);
  }
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;
  Progress progress() {
    if (!shown_) return {};
    return [this](uint64_t done, uint64_t total) { draw(done, total); };
  }

 private:
  void draw(uint64_t done, uint64_t total) {
    const auto now = std::chrono::steady_clock::now();
    if (drawn_ && done < total && now - last_ < std::chrono::milliseconds(100)) return;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    constexpr double kMiB = 1 << 20;
    std::fprintf(stderr, "\r%s %3.0f %%  %.0f of %.0f MiB  %.0f MiB/s\x1b[K", what_.c_str(),
                 total == 0 ? 100.0 : 100.0 * static_cast<double>(done) / static_cast<double>(total),
                 static_cast<double>(done) / kMiB, static_cast<double>(total) / kMiB,
                 seconds > 0 ? static_cast<double>(done) / kMiB / seconds : 0.0);
    last_ = now;
    drawn_ = true;
  }
  std::string what_;
  bool shown_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point last_;
};

void print(const nlohmann::json& value) { std::cout << value.dump(2) << "\n"; }

void create(const Options& options) {
  const CreatePlan plan = read_create_manifest(options.manifest, system_time());
  Digest digest;
  {
    Meter meter("packing", options.json);
    digest = create_bundle(plan, options.out, options.force ? Existing::replace : Existing::refuse, meter.progress());
  }
  if (options.json)
    return print({{"bundle", digest.hex()},
                  {"path", options.out.native()},
                  {"stream", plan.manifest.stream},
                  {"version", plan.manifest.version},
                  {"files", plan.manifest.files.size()},
                  {"payload_bytes", plan.manifest.payload_size}});
  std::cout << "wrote " << printable(options.out.native()) << ": " << plan.manifest.files.size() << " files, "
            << plan.manifest.payload_size << " bytes of payload\nbundle " << digest.hex()
            << "\nnot signed yet: gf-bundle sign --key K --cert C --chain CA " << printable(options.out.native())
            << "\n";
}

void sign(const Options& options) {
  sign_bundle(options.bundle, options.key, options.certificate, options.chain);
  const UnverifiedBundle bundle = read_unverified(options.bundle);
  const std::string digest = sha384(bundle.manifest_bytes).hex();
  if (options.json)
    return print({{"bundle", digest}, {"path", options.bundle.native()}, {"signatures", bundle.signatures.size()}});
  std::cout << "signed " << printable(options.bundle.native()) << ": stream " << bundle.manifest.stream << " version "
            << bundle.manifest.version << ", now " << bundle.signatures.size() << " signatures\nbundle " << digest
            << "\n";
}

void inspect(const Options& options) {
  const UnverifiedBundle bundle = read_unverified(options.bundle);
  if (options.json) return print(describe_unverified(bundle));
  std::cout << unverified_text(bundle);
}

void verify(const Options& options) {
  const Trust trust = Trust::read(options.trust);
  const Explain explain = [](std::string_view step, const std::string& found) {
    std::cout << "step " << step << ": " << printable(found) << "\n";
  };
  const bool explaining = options.explain && !options.json;
  const Bundle bundle = Bundle::open(options.bundle, trust, system_time(), explaining ? explain : Explain());
  {
    Meter meter("verifying", options.json);
    bundle.verify_payload(meter.progress(), options.plain_digests ? PlainDigests::check : PlainDigests::skip);
  }
  if (explaining) {
    explain("7 chunks", "every chunk has the digest of the table");
    explain("8 tar", "its members are the manifest's files, in order");
    explain("9 state", "not written: verify accepts nothing");
  }
  if (options.json) return print(describe(bundle));
  std::cout << bundle_text(bundle) << (options.plain_digests ? "every file's plain SHA-384 holds\n" : "")
            << "VERIFIED\n";
}

void unpack(const Options& options) {
  const Trust trust = Trust::read(options.trust);
  const Time now = system_time();
  const Bundle bundle = Bundle::open(options.bundle, trust, now);
  const Store store = Store::create_or_open(options.store);
  UnpackResult result;
  {
    Meter meter("unpacking", options.json);
    result = store.unpack(bundle, meter.progress());
  }
  accept(bundle, trust, now);
  if (options.json) {
    nlohmann::json json = describe(bundle);
    json["bytes_shared"] = result.bytes_shared;
    json["bytes_copied"] = result.bytes_copied;
    json["bytes_present"] = result.bytes_present;
    return print(json);
  }
  std::cout << bundle_text(bundle) << "unpacked to " << printable(options.store.native()) << ": " << result.bytes_copied
            << " bytes copied, " << result.bytes_shared << " shared, " << result.bytes_present
            << " already there\nACCEPTED\n";
}

void make_pki(const Options& options) {
  write_development_pki(options.folder, system_time());
  if (options.json)
    return print({{"folder", options.folder.native()}, {"trust", (options.folder / "trust.toml").native()}});
  std::cout << "wrote a development PKI to " << printable(options.folder.native())
            << ": signer1, signer2, report (.key, .pem), chain.pem, anchors/, crls/, trust.toml\n"
               "these keys are for development: a real host trusts an authority whose keys are kept offline\n";
}

void add_bundle_argument(CLI::App* command, Options& options) {
  command->add_option("bundle", options.bundle, "the bundle (NAME.gfb)")->required();
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app("Signed bundles: make them, sign them, look at them, verify and unpack them.", "gf-bundle");
  app.set_version_flag("--version", "gf-bundle " GF_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.add_flag("--json", options.json, "print one JSON object");

  CLI::App* create_command = app.add_subcommand("create", "write an unsigned bundle from m.toml");
  create_command->add_option("--manifest,-m", options.manifest, "m.toml: stream, version, expires, files")->required();
  create_command->add_option("--output,-o", options.out, "the bundle to write")->required();
  create_command->add_flag("--force", options.force, "replace a file of that name");
  create_command->callback([&] { create(options); });

  CLI::App* sign_command = app.add_subcommand("sign", "add a signature to a bundle");
  sign_command->add_option("--key", options.key, "PEM private key: ECDSA P-384, or RSA of 3072 bits or more")
      ->required();
  sign_command->add_option("--cert", options.certificate, "PEM certificate of that key")->required();
  sign_command->add_option("--chain", options.chain, "PEM certificates between it and the anchor");
  add_bundle_argument(sign_command, options);
  sign_command->callback([&] { sign(options); });

  CLI::App* inspect_command = app.add_subcommand("inspect", "show what a bundle claims, without trusting it");
  add_bundle_argument(inspect_command, options);
  inspect_command->callback([&] { inspect(options); });

  CLI::App* verify_command = app.add_subcommand("verify", "check a bundle against this host's trust; changes nothing");
  verify_command->add_option("--trust", options.trust, "trust.toml")->required();
  verify_command->add_flag("--explain", options.explain, "print each step as it passes");
  verify_command->add_flag("--files", options.plain_digests, "also check each file's plain SHA-384");
  add_bundle_argument(verify_command, options);
  verify_command->callback([&] { verify(options); });

  CLI::App* unpack_command = app.add_subcommand("unpack", "verify, store and accept a bundle");
  unpack_command->add_option("--trust", options.trust, "trust.toml")->required();
  unpack_command->add_option("--to", options.store, "the store's folder")->required();
  add_bundle_argument(unpack_command, options);
  unpack_command->callback([&] { unpack(options); });

  CLI::App* pki_command = app.add_subcommand("dev-pki", "write keys, certificates and a trust file for development");
  pki_command->add_option("folder", options.folder, "a new folder")->required();
  pki_command->callback([&] { make_pki(options); });

  try {
    app.parse(argc, argv);
    std::cout.flush();
    return std::cout ? 0 : static_cast<int>(Code::io);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(Code::usage);
  } catch (const Error& error) {
    if (options.json)
      print({{"error",
              {{"code", static_cast<int>(error.code())},
               {"name", std::string(code_name(error.code()))},
               {"message", to_valid_utf8(error.message())}}}});
    std::cout.flush();
    std::cerr << "gf-bundle: " << code_name(error.code()) << ": " << printable(error.what(), Lines::keep) << "\n";
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    std::cerr << "gf-bundle: internal: " << printable(error.what(), Lines::keep) << "\n";
    return static_cast<int>(Code::internal);
  }
}

}  // namespace
}  // namespace gf

int main(int argc, char** argv) { return gf::run(argc, argv); }
