// Makes bundles for tests, right in everything but what a test spoils on purpose, and signs them
// with keys made once per run.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bundles/bundle.h"
#include "bundles/pki.h"
#include "tests/support/catch.h"

namespace gf::test {

struct Holder {
  KeyPtr key;
  CertificatePtr certificate;
};

// 2026-11-21T12:00:00Z: every test's clock.
inline constexpr Time kNow{std::chrono::sys_days{std::chrono::year{2026} / 11 / 21} + std::chrono::hours(12)};
inline constexpr auto kDay = std::chrono::hours(24);

struct Pki {
  Holder root, intermediate, signer1, signer2;
};
const Pki& pki();

CertificateOrder authority_order();
CertificateOrder signer_order();
Holder new_holder(const CertificateOrder& order, KeyPtr key, const Holder* issuer);

// Signature blocks over a manifest.
using Block = std::vector<std::byte>;
using Signature = std::function<Block(const std::string& manifest)>;
Block bytes_of(const std::string& text);
// The right form, by any key and certificate, with these certificates between it and the anchor.
Signature by(const Holder& holder, std::vector<const Holder*> path = {&pki().intermediate});

struct PlainFile {
  std::string name;
  std::string bytes;
  Kind kind;
};

// Each hook spoils one stage; the later stages are computed from what it leaves.
struct Recipe {
  std::vector<PlainFile> files = {{"job/job.json", "{\"profile\":\"stig\"}", Kind::job},
                                  {"prompts/fix.txt", std::string(5000, 'p'), Kind::prompt},
                                  {"empty.txt", "", Kind::other}};
  uint64_t version = 5;
  std::vector<std::string> hosts;
  std::function<void(Manifest&)> plan;  // before layout
  std::function<void(const Manifest&, std::string&)> payload;
  std::function<void(std::vector<Digest>&)> table;
  std::function<void(Manifest&)> manifest;  // after all digests
  std::function<void(std::string&)> json;
  std::vector<Signature> signatures = {by(pki().signer1)};
  std::function<void(std::string&)> file;  // the finished bytes
};
std::string forge(const Recipe& recipe);

// A host with a trust file's contents and a clock.
struct Scene {
  TemporaryFolder folder;
  Trust trust;
  Time now = kNow;
  Recipe recipe;

  Scene();
  std::filesystem::path write();  // the forged bundle
  Bundle open() { return Bundle::open(write(), trust, now); }
  void add_crl(const std::string& name, const CrlOrder& order, const Holder& issuer);
  void use_valid_crls();  // and require them
};

// The bundle must be refused by open() or by verify_payload(), with this code and this in its message.
void check_refused(Scene& scene, Code code, const std::string& words);

void put_number(std::string& bytes, size_t at, uint64_t value);                            // 8 bytes, little-endian
std::string replaced(std::string text, const std::string& what, const std::string& with);  // once; fails if absent

}  // namespace gf::test
