// Prints the members of a JSON object, read by nlohmann's library: json URL
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <weir/weir.hpp>

// Once in a program; any other library does as well.
template <>
struct weir::JsonTraits<nlohmann::json> {
  static nlohmann::json parse(std::string_view text) { return nlohmann::json::parse(text); }
};

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s URL\n", argv[0]);
    return 2;
  }
  try {
    weir::Response response = weir::fetch(argv[1], {.headers = {{"Accept", "application/json"}}});
    const auto object = response.json<nlohmann::json>();
    for (const auto& [name, value] : object.items()) {
      std::printf("%s: %s\n", name.c_str(), value.dump().c_str());
    }
    return 0;
  } catch (const std::exception& error) {  // what the parser throws is its own
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
