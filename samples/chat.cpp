// Asks a language model and prints its answer as it comes: chat URL JSON [KEY]
#include <cstdio>
#include <exception>
#include <string>
#include <weir/weir.hpp>

// The text of "content" in one event; a program of its own would parse the JSON.
std::string content_of(const std::string& json) {
  const std::string name = "\"content\":\"";
  const std::size_t at = json.find(name);
  if (at == json.npos) return {};
  std::string text;
  for (std::size_t i = at + name.size(); i + 1 < json.size() && json[i] != '"'; ++i) {
    const bool escaped = json[i] == '\\';
    if (escaped) ++i;
    text += escaped && json[i] == 'n' ? '\n' : json[i];
  }
  return text;
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  try {
    weir::Client client;
    weir::EventSourceOptions options;
    options.init.body = argv[2];  // which makes it a POST
    options.init.headers = {{"Content-Type", "application/json"}};
    if (argc > 3) options.init.headers.append("Authorization", std::string("Bearer ") + argv[3]);
    options.reconnect = weir::Reconnect::never;  // a question that was lost is not asked again
    weir::EventSource events(client, argv[1], std::move(options));
    while (const auto event = events.next()) {
      if (event->data == "[DONE]") return 0;
      std::fputs(content_of(event->data).c_str(), stdout);
      std::fflush(stdout);
    }
    std::fprintf(stderr, "\nthe answer was cut short\n");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  return 1;
}
