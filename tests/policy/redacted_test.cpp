// Secrets leave no text; everything else stays as it was.
#include "policy/redacted.h"

#include <string>

#include "tests/support/catch.h"

using gf::redacted;

namespace {
const std::string kBody = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\nVJTUt9Us8cKjMzEfYyjiWA4R4==\n";
}

TEST_CASE("hashes_of_every_crypt_scheme_are_taken_out") {
  for (const char* hash :
       {"$1$salt$qJH7.N4xYta3aEG/dfqo/0", "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
        "$5$rounds=5000$salt$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8",
        "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2", "$7$CU..../....2Q9obwLhin8qvQl6sisAO/$sC/H3cbqmkm",
        "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7",
        "$gy$j9T$4sFJ0Yp1o$abcdefghijklmnop", "$sha1$40000$jtNX3nZ2$hBNaIXkt4wBI2o5rsi8KejSjNqIq",
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG",
        "\\$6\\$saltsalt\\$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2"}) {
    CAPTURE(hash);
    CHECK(redacted(std::string("pw is '") + hash + "' ok") == "pw is '[redacted hash]' ok");
  }
}

TEST_CASE("grub_hashes_are_taken_out") {
  CHECK(redacted("password_pbkdf2 root grub.pbkdf2.sha512.10000.AB12CD.EF34\n") ==
        "password_pbkdf2 root [redacted hash]\n");
}

TEST_CASE("shell_text_and_prices_are_not_hashes") {
  for (const char* text : {"cp $1 $2", "echo $1$2", "awk '{print $6 $5}' /etc/fstab", "costs $5 or $6", "a$b$c", "$"}) {
    CAPTURE(text);
    CHECK(redacted(text) == text);
  }
}

TEST_CASE("the_password_field_of_a_shadow_line_is_taken_out") {
  CHECK(redacted("alice:abJnggxhB/yWI:19000:0:99999:7:::\n") == "alice:[redacted]:19000:0:99999:7:::\n");
  CHECK(redacted("/etc/shadow:alice:secret:19000::::::") == "/etc/shadow:alice:[redacted]:19000::::::");
  CHECK(redacted("12:alice:!$6$saltsalt$aaaaaaaaaaaaaaaa:19000:0:99999:7:::").find("aaaaaaaa") == std::string::npos);
  CHECK(redacted("bob:abJnggxhB/yWI:1000:1000:Bob:/home/bob:/bin/sh") ==
        "bob:[redacted]:1000:1000:Bob:/home/bob:/bin/sh");
}

TEST_CASE("lines_without_a_password_stay") {
  for (const char* text : {"root:*:19000:0:99999:7:::", "root:!!:19000:0:99999:7:::", "root::19000:0:99999:7:::",
                           "root:x:0:0:root:/root:/bin/bash", "2026-11-21 10:00:00 a:b:c", "::::::::", ""}) {
    CAPTURE(text);
    CHECK(redacted(text) == text);
  }
}

TEST_CASE("private_keys_are_taken_out_whole") {
  for (const char* label :
       {"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY"}) {
    const std::string key = std::string("-----BEGIN ") + label + "-----\n" + kBody + "-----END " + label + "-----";
    CHECK(redacted("before\n" + key + "\nafter\n") == "before\n[redacted private key]\nafter\n");
  }
}

TEST_CASE("a_private_key_that_is_cut_off_is_taken_out_to_the_end") {
  CHECK(redacted("x\n-----BEGIN PRIVATE KEY-----\n" + kBody) == "x\n[redacted private key]");
  CHECK(redacted("-----BEGIN RSA PRIVATE KEY") == "[redacted private key]");
}

TEST_CASE("a_private_key_whose_beginning_is_missing_is_taken_out") {
  CHECK(redacted("words here\n" + kBody + "-----END PRIVATE KEY-----\nafter") ==
        "words here\n[redacted private key]\nafter");
}

TEST_CASE("public_keys_and_certificates_stay") {
  const std::string text =
      "-----BEGIN CERTIFICATE-----\n" + kBody + "-----END CERTIFICATE-----\n-----BEGIN PUBLIC KEY-----\n";
  CHECK(redacted(text) == text);
}

TEST_CASE("two_keys_in_one_text_hide_nothing_between_them") {
  const std::string key = "-----BEGIN PRIVATE KEY-----\n" + kBody + "-----END PRIVATE KEY-----\n";
  CHECK(redacted(key + "between\n" + key) == "[redacted private key]\nbetween\n[redacted private key]\n");
}

TEST_CASE("text_never_grows_to_more_than_twice_its_length") {
  std::string lines, hashes, dashes;
  for (int i = 0; i < 300; ++i) {
    lines += "a:b:1::::::\n";
    hashes += "$1$abcdefgh ";
    dashes += "-----BEGIN PRIVATE KEY-----END PRIVATE KEY-----";
  }
  for (const std::string& text : {lines, hashes, dashes}) CHECK(redacted(text).size() <= 2 * text.size());
}

TEST_CASE("redacting_twice_changes_nothing_more") {
  const std::string text =
      "alice:abJnggxhB/yWI:19000:0:99999:7:::\n$6$saltsalt$qFmFH.bQmmtX\n" + kBody + "-----END PRIVATE KEY-----";
  CHECK(redacted(redacted(text)) == redacted(text));
}
