// gf-bench: decode and prefill of a checkpoint, beside a plain read of as many bytes by as many threads in the
// same run. Greedy, one prompt per stream, median of five.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "engine/engine.h"
#include "engine/safetensors.h"
#include "kernels/base/error.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/tensor.h"

namespace {

using Clock = std::chrono::steady_clock;
constexpr int kRounds = 5;

struct Options {
  std::string model;
  std::string ops = "cpu";
  std::vector<int> batches = {1, 4, 16};
  int prompt = 512;
  int tokens = 24;
  int threads = 0;
  bool json = false;
};

double seconds_of(const std::function<void()>& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median_of(const std::function<double()>& measure) {
  std::vector<double> values;
  for (int round = 0; round < kRounds; ++round) values.push_back(measure());
  std::sort(values.begin(), values.end());
  return values[kRounds / 2];
}

// Adds up all words, each thread its share; the sum is kept so that the reads are.
double read_gb_per_second(uint64_t bytes, int threads) {
  const gf::Buffer memory = gf::allocate_host(bytes);
  auto* words = reinterpret_cast<uint64_t*>(memory.data());
  const uint64_t count = bytes / 8;
  for (uint64_t i = 0; i < count; ++i) words[i] = i;
  gf::ThreadPool pool(threads);
  std::atomic<uint64_t> sum = 0;
  const double seconds = median_of([&] {
    return seconds_of([&] {
      pool.run(pool.threads(), [&](int64_t part, int) {
        const auto parts = static_cast<uint64_t>(pool.threads());
        const uint64_t begin = static_cast<uint64_t>(part) * count / parts / 8 * 8;
        const uint64_t end = static_cast<uint64_t>(part + 1) * count / parts / 8 * 8;
        uint64_t sums[8] = {};
        for (uint64_t i = begin; i < end; i += 8)
          for (uint64_t k = 0; k < 8; ++k) sums[k] += words[i + k];
        for (const uint64_t part_sum : sums) sum += part_sum;
      });
    });
  });
  if (sum == 1) std::cerr << "unlikely\n";
  return static_cast<double>(bytes) / seconds / 1e9;
}

gf::GenerateRequest request_of(int length, int64_t tokens, int first, int64_t vocabulary) {
  gf::GenerateRequest request;
  for (int i = 0; i < length; ++i) request.prompt.push_back(static_cast<int32_t>((first * 7919 + i * 31) % vocabulary));
  request.max_new_tokens = tokens;
  request.sampling.temperature = 0;
  return request;
}

// Seconds in steps while `streams` write `tokens` each after a short prompt.
double decode_tokens_per_second(gf::Engine& engine, int streams, int tokens) {
  return median_of([&] {
    const gf::EngineStats before = engine.stats();
    std::vector<std::thread> callers;
    for (int s = 0; s < streams; ++s)
      callers.emplace_back([&, s] { engine.generate(request_of(2, tokens, s, engine.config().vocab_size)); });
    for (std::thread& caller : callers) caller.join();
    const gf::EngineStats after = engine.stats();
    return static_cast<double>(after.new_tokens - before.new_tokens) / (after.busy_seconds - before.busy_seconds);
  });
}

double prefill_tokens_per_second(gf::Engine& engine, int length) {
  return length / median_of([&] {
           return seconds_of([&] { engine.generate(request_of(length, 1, 3, engine.config().vocab_size)); });
         });
}

void run(const Options& options) {
  const auto source = gf::open_checkpoint(options.model);
  const auto text = source->text("config.json");
  if (!text) throw gf::Error(gf::Code::input, options.model, ": config.json is missing");
  const int most = *std::max_element(options.batches.begin(), options.batches.end());
  const auto engine = gf::Engine::load(gf::parse_model_config(*text), *source,
                                       {.ops = options.ops,
                                        .threads = options.threads,
                                        .max_sequences = most,
                                        .max_context = options.prompt + options.tokens + 8,
                                        .step_tokens = std::max(256, most)});
  const auto bytes = static_cast<double>(engine->weight_bytes());
  nlohmann::ordered_json report;
  report["model"] = options.model;
  report["weight_bytes"] = engine->weight_bytes();
  report["read_gb_s"] = read_gb_per_second(engine->weight_bytes(), options.threads);
  for (const int batch : options.batches) {
    const double tokens = decode_tokens_per_second(*engine, batch, options.tokens);
    const double gb = tokens / batch * bytes / 1e9;
    report["decode"].push_back(
        {{"batch", batch}, {"tok_s", tokens}, {"gb_s", gb}, {"share_of_read", gb / report["read_gb_s"].get<double>()}});
  }
  const double prefill = prefill_tokens_per_second(*engine, options.prompt);
  // Two operations for every weight and token; the weights are two bytes each.
  report["prefill"] = {{"tokens", options.prompt}, {"tok_s", prefill}, {"gflop_s", prefill * bytes / 1e9}};
  if (options.json) {
    std::cout << report.dump(2) << std::endl;
    return;
  }
  std::cout << std::fixed << std::setprecision(2) << options.model << ": " << bytes / 1e9 << " GB, plain read "
            << report["read_gb_s"].get<double>() << " GB/s\n";
  for (const auto& row : report["decode"])
    std::cout << "decode batch " << row["batch"] << ": " << row["tok_s"].get<double>() << " tok/s, "
              << row["gb_s"].get<double>() << " GB/s, " << 100 * row["share_of_read"].get<double>()
              << " % of the read\n";
  std::cout << "prefill of " << options.prompt << ": " << prefill << " tok/s, "
            << report["prefill"]["gflop_s"].get<double>() << " GFLOP/s" << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("measures decode and prefill of a checkpoint", "gf-bench");
  Options options;
  app.add_option("--model", options.model, "checkpoint folder")->required();
  app.add_option("--ops", options.ops, "cpu or reference");
  app.add_option("--batch", options.batches, "streams at once")->delimiter(',');
  app.add_option("--prompt", options.prompt, "tokens of the prefill");
  app.add_option("--tokens", options.tokens, "written by each stream");
  app.add_option("--threads", options.threads, "0: one per core");
  app.add_flag("--json", options.json, "as JSON");
  CLI11_PARSE(app, argc, argv);
  try {
    run(options);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "gf-bench: " << error.what() << std::endl;
    return 1;
  }
}
