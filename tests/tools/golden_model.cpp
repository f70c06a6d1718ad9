#include "tests/tools/golden_model.h"

#include <fcntl.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>

#include "engine/gemma4.h"
#include "engine/safetensors.h"
#include "kernels/base/error.h"
#include "kernels/base/fd.h"
#include "kernels/base/strict_json.h"
#include "tests/tools/recipe.h"

namespace gf::test {
namespace {

using Path = std::filesystem::path;
constexpr double kExact = 1e-4;
constexpr double kOrdinary = 1.25;
constexpr double kFar = 4;
constexpr double kClearGap = 8;

std::string text_of(const Path& path) { return read_text_file(path, 64U << 20); }

// golden.safetensors alone, as the only file of a checkpoint.
class NumbersFile : public CheckpointFiles {
 public:
  explicit NumbersFile(const Path& folder) : files_(checkpoint_folder(folder)) {}
  [[nodiscard]] std::vector<std::string> names() const override { return {"model.safetensors"}; }
  [[nodiscard]] std::unique_ptr<ByteSource> open(std::string_view /*name*/) const override {
    return files_->open("golden.safetensors");
  }

 private:
  std::unique_ptr<CheckpointFiles> files_;
};

template <typename T>
struct Numbers {
  std::vector<int64_t> shape;
  std::vector<T> values;
  [[nodiscard]] std::span<const T> row(int64_t i) const {
    const auto width = static_cast<size_t>(shape.back());
    return std::span(values).subspan(static_cast<size_t>(i) * width, width);
  }
};

struct Golden {
  ModelConfig config;
  std::unique_ptr<WeightsSource> weights;
  std::vector<int32_t> ids, greedy_ids;
  Numbers<float> logits, hidden, hidden_last, logits_error, hidden_error, greedy_margin;
};

template <typename T>
Numbers<T> read_numbers(const WeightsSource& file, const std::string& name, DType dtype) {
  const auto info = file.find(name);
  if (!info) return {};
  if (info->dtype != dtype)
    throw Error(Code::corrupt, "golden tensor ", name, ": expected ", dtype_name(dtype), ", found ",
                dtype_name(info->dtype));
  Numbers<T> numbers{.shape = info->shape, .values = std::vector<T>(info->bytes() / sizeof(T))};
  file.read(name, {0, info->rows()}, std::as_writable_bytes(std::span(numbers.values)));
  return numbers;
}

std::unique_ptr<WeightsSource> open_weights(const Path& folder, const nlohmann::json& golden) {
  if (std::filesystem::exists(folder / "model.safetensors") ||
      std::filesystem::exists(folder / "model.safetensors.index.json"))
    return open_checkpoint(folder);
  return recipe_source(recipe_of_golden(golden), golden.at("seed").get<uint64_t>(), text_of(folder / "config.json"));
}

Golden open_golden(const Path& folder) {
  Golden golden;
  golden.config = parse_model_config(text_of(folder / "config.json"), (folder / "config.json").native());
  golden.weights = open_weights(folder, parse_json(text_of(folder / "golden.json"), "golden.json"));
  const auto file = open_checkpoint(std::make_unique<NumbersFile>(folder));
  golden.ids = read_numbers<int32_t>(*file, "ids", DType::i32).values;
  golden.greedy_ids = read_numbers<int32_t>(*file, "greedy_ids", DType::i32).values;
  golden.logits = read_numbers<float>(*file, "logits_f32", DType::f32);
  golden.hidden = read_numbers<float>(*file, "hidden_f32", DType::f32);
  golden.hidden_last = read_numbers<float>(*file, "hidden_f32_last", DType::f32);
  golden.logits_error = read_numbers<float>(*file, "bf16_logits_error", DType::f32);
  golden.hidden_error = read_numbers<float>(*file, "bf16_hidden_error", DType::f32);
  golden.greedy_margin = read_numbers<float>(*file, "greedy_margin", DType::f32);
  const auto tokens = static_cast<int64_t>(golden.ids.size());
  if (tokens == 0 || golden.logits.shape != std::vector<int64_t>{tokens, golden.config.vocab_size} ||
      (golden.hidden.values.empty() && golden.hidden_last.values.empty()))
    throw Error(Code::corrupt, folder.native(), ": golden.safetensors lacks ids, logits_f32 or the hidden rows");
  return golden;
}

double rms(std::span<const float> x) {
  double sum = 0;
  for (const float value : x) sum += static_cast<double>(value) * value;
  return std::sqrt(sum / static_cast<double>(x.size()));
}

double rms_difference(std::span<const float> x, std::span<const float> y) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += std::pow(static_cast<double>(x[i]) - static_cast<double>(y[i]), 2);
  return std::sqrt(sum / static_cast<double>(x.size()));
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

std::vector<double> doubles(std::span<const float> values) { return {values.begin(), values.end()}; }

// The error of the row's yardstick, per position.
size_t first_largest(std::span<const float> x) {
  return static_cast<size_t>(std::max_element(x.begin(), x.end()) - x.begin());
}

double gap(std::span<const float> x) {
  const size_t best = first_largest(x);
  float second = -INFINITY;
  for (size_t i = 0; i < x.size(); ++i)
    if (i != best) second = std::max(second, x[i]);
  return static_cast<double>(x[best]) - static_cast<double>(second);
}

// The model on one backend, one sequence at a time.
class Runner {
 public:
  Runner(const Golden& golden, const ModelWeights& weights, Ops& ops, int64_t positions)
      : golden_(golden),
        ops_(ops),
        positions_(positions),
        model_(golden.config, weights, ops, {.rows = positions, .wanted = positions}) {
    restart();
  }

  void restart() {
    cache_.emplace(golden_.config, ops_, KvLimits{.sequences = 1, .context = positions_, .step_tokens = positions_});
    sequence_ = cache_->open_sequence();
    length_ = 0;
  }

  // Logits of all tokens given, which come after those before.
  Tensor run(std::span<const int32_t> tokens, const HiddenTap& tap = {}) {
    Step step;
    for (const int32_t token : tokens) {
      step.wanted.push_back(static_cast<int32_t>(step.tokens.size()));
      step.tokens.push_back(token);
      step.positions.push_back(static_cast<int32_t>(length_ + step.wanted.back()));
      step.sequences.push_back(sequence_);
    }
    const auto count = static_cast<int64_t>(tokens.size());
    cache_->prepare(sequence_, length_, length_ + count);
    length_ += count;
    return model_.forward(step, *cache_, tap);
  }

 private:
  const Golden& golden_;
  Ops& ops_;
  int64_t positions_;
  Gemma4 model_;
  std::optional<KvCache> cache_;
  int32_t sequence_ = 0;
  int64_t length_ = 0;
};

std::span<const float> row_of(const Tensor& x, int64_t row) { return {x.f32(row), static_cast<size_t>(x.columns)}; }

std::string row_name(int64_t row, size_t layers) {
  if (row == 0) return "hidden row 0 (embedding)";
  if (row == static_cast<int64_t>(layers)) return "hidden row " + std::to_string(row) + " (final norm)";
  return "hidden row " + std::to_string(row) + " (after layer " + std::to_string(row - 1) + ")";
}

using Compare = std::function<void(const std::string& what, int64_t position, std::span<const float> found,
                                   std::span<const float> expected)>;

// Every hidden row that the golden has, position by position.
HiddenTap compare_hidden(const Golden& golden, const Compare& compare) {
  return [&golden, compare](int64_t row, const Tensor& x) {
    const std::string name = row_name(row, golden.config.layers.size());
    if (golden.hidden.values.empty())
      return compare(name, x.rows - 1, row_of(x, x.rows - 1), golden.hidden_last.row(row));
    for (int64_t t = 0; t < x.rows; ++t) compare(name, t, row_of(x, t), golden.hidden.row(row * x.rows + t));
  };
}

// The prompt cut in pieces must give the same bits as in one step.
void check_chunks(Runner& runner, const Golden& golden, const std::vector<float>& whole) {
  const auto vocabulary = static_cast<size_t>(golden.config.vocab_size);
  runner.restart();
  const size_t piece = 7;
  for (size_t first = 0; first < golden.ids.size(); first += piece) {
    const auto tokens = std::span(golden.ids).subspan(first, std::min(piece, golden.ids.size() - first));
    const Tensor logits = runner.run(tokens);
    if (std::memcmp(logits.f32(), whole.data() + first * vocabulary, tokens.size() * vocabulary * sizeof(float)) != 0)
      throw Error(Code::corrupt, "logits at position ", first, " or soon after: a prompt cut in pieces of ", piece,
                  " gives other bits than one step");
  }
}

std::string checked_exactly(const Golden& golden, const ModelWeights& weights, Ops& ops) {
  Runner runner(golden, weights, ops, static_cast<int64_t>(golden.ids.size() + golden.greedy_ids.size()));
  double worst = 0;
  const Compare compare = [&worst](const std::string& what, int64_t position, std::span<const float> found,
                                   std::span<const float> expected) {
    const double error = rms_difference(found, expected) / rms(expected);
    if (!(error <= kExact))
      throw Error(Code::corrupt, what, ", position ", position, ": relative error ", error, ", at most ", kExact);
    worst = std::max(worst, error);
  };
  const Tensor logits = runner.run(golden.ids, compare_hidden(golden, compare));
  for (int64_t t = 0; t < logits.rows; ++t) compare("logits", t, row_of(logits, t), golden.logits.row(t));
  const std::vector<float> whole(logits.f32(), logits.f32(logits.rows));
  check_chunks(runner, golden, whole);

  std::span<const float> last = std::span(whole).last(static_cast<size_t>(golden.config.vocab_size));
  for (size_t step = 0; step < golden.greedy_ids.size(); ++step) {
    const auto token = static_cast<int32_t>(first_largest(last));
    if (token != golden.greedy_ids[step])
      throw Error(Code::corrupt, "greedy token ", step, ": expected ", golden.greedy_ids[step], ", found ", token);
    last = row_of(runner.run(std::span(&token, 1)), 0);
  }
  return "largest relative error " + std::to_string(worst) + ", " + std::to_string(golden.greedy_ids.size()) +
         " greedy tokens equal";
}

// Errors of one row of the golden at all its positions, against the published code's own bf16 run.
void require_ordinary(const std::string& what, const std::vector<double>& errors, std::span<const float> yardstick,
                      double& worst) {
  const double usual = median(doubles(yardstick));
  const double found = median(errors);
  if (!(found <= kOrdinary * usual))
    throw Error(Code::corrupt, what, ": median error ", found, ", at most ", kOrdinary, " x ", usual);
  if (usual > 0) worst = std::max(worst, found / usual);
}

std::string checked_as_bf16(const Golden& golden, const ModelWeights& weights, Ops& ops) {
  std::vector<int32_t> all = golden.ids;
  all.insert(all.end(), golden.greedy_ids.begin(), golden.greedy_ids.end());
  Runner runner(golden, weights, ops, static_cast<int64_t>(all.size()));
  const auto prompt = static_cast<int64_t>(golden.ids.size());
  double worst = 0;
  std::vector<std::pair<std::string, std::vector<double>>> hidden;
  const Compare collect = [&hidden](const std::string& what, int64_t /*position*/, std::span<const float> found,
                                    std::span<const float> expected) {
    if (hidden.empty() || hidden.back().first != what) hidden.emplace_back(what, std::vector<double>{});
    hidden.back().second.push_back(rms_difference(found, expected) / rms(expected));
  };
  const Tensor logits = runner.run(golden.ids, compare_hidden(golden, collect));
  for (size_t row = 0; row < hidden.size(); ++row)
    require_ordinary(hidden[row].first, hidden[row].second, golden.hidden_error.row(static_cast<int64_t>(row)), worst);

  std::vector<double> errors;
  for (int64_t t = 0; t < prompt; ++t) errors.push_back(rms_difference(row_of(logits, t), golden.logits.row(t)));
  require_ordinary("logits", errors, golden.logits_error.values, worst);
  const double usual = median(doubles(golden.logits_error.values));
  const auto far = std::count_if(errors.begin(), errors.end(), [&](double e) { return !(e <= kFar * usual); });
  if (far * 6 > prompt)
    throw Error(Code::corrupt, "logits: ", far, " of ", prompt, " positions have an error above ", kFar, " x ", usual);
  for (int64_t t = 0; t < prompt; ++t)
    if (gap(golden.logits.row(t)) > kClearGap * usual &&
        first_largest(row_of(logits, t)) != first_largest(golden.logits.row(t)))
      throw Error(Code::corrupt, "logits, position ", t, ": expected token ", first_largest(golden.logits.row(t)),
                  ", found ", first_largest(row_of(logits, t)));
  check_chunks(runner, golden, std::vector<float>(logits.f32(), logits.f32(logits.rows)));

  runner.restart();
  const Tensor forced = runner.run(all);
  size_t clear = 0;
  for (size_t step = 0; step < golden.greedy_ids.size(); ++step) {
    if (!(static_cast<double>(golden.greedy_margin.values[step]) > kClearGap * usual)) continue;
    ++clear;
    const size_t token = first_largest(row_of(forced, prompt - 1 + static_cast<int64_t>(step)));
    if (token != static_cast<size_t>(golden.greedy_ids[step]))
      throw Error(Code::corrupt, "greedy token ", step, ": expected ", golden.greedy_ids[step], ", found ", token);
  }
  return "largest median error " + std::to_string(worst) + " of the published bf16 run's, " + std::to_string(clear) +
         " of " + std::to_string(golden.greedy_ids.size()) + " greedy tokens are clear and equal";
}

std::string sha256_of(const WeightsSource& source, const std::string& name, const TensorInfo& info) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr);
  const uint64_t row_bytes = info.bytes() / static_cast<uint64_t>(info.rows());
  const int64_t step = std::max<int64_t>(1, static_cast<int64_t>((uint64_t{16} << 20) / row_bytes));
  std::vector<std::byte> piece;
  for (int64_t row = 0; row < info.rows(); row += step) {
    const int64_t count = std::min(step, info.rows() - row);
    piece.resize(row_bytes * static_cast<uint64_t>(count));
    source.read(name, {row, count}, piece);
    EVP_DigestUpdate(context.get(), piece.data(), piece.size());
  }
  std::array<unsigned char, 32> digest{};
  EVP_DigestFinal_ex(context.get(), digest.data(), nullptr);
  std::string hex;
  for (const unsigned byte : digest) {
    hex += "0123456789abcdef"[byte >> 4U];
    hex += "0123456789abcdef"[byte & 15U];
  }
  return hex;
}

}  // namespace

void check_weight_hashes(const Path& folder) {
  const nlohmann::json golden = parse_json(text_of(folder / "golden.json"), "golden.json");
  const auto weights = open_weights(folder, golden);
  for (const auto& [name, expected] : golden.at("tensors").items()) {
    const auto info = weights->find(name);
    if (!info) throw Error(Code::corrupt, "tensor ", name, ": missing in the checkpoint");
    const std::string found = sha256_of(*weights, name, *info);
    if (found != expected.at("sha256").get<std::string>())
      throw Error(Code::corrupt, "tensor ", name, ": expected SHA-256 ", expected.at("sha256").get<std::string>(),
                  ", found ", found);
  }
}

std::vector<std::string> check_model_golden(const Path& folder, const std::string& ops_name) {
  const Golden golden = open_golden(folder);
  const auto ops = make_ops(ops_name, 0);
  const ModelWeights weights = load_weights(golden.config, *golden.weights, *ops);
  const std::string said =
      ops_name == "reference" ? checked_exactly(golden, weights, *ops) : checked_as_bf16(golden, weights, *ops);
  return {said};
}

}  // namespace gf::test
