#pragma once

#include <curl/curl.h>

#include <memory>
#include <new>

namespace weir::net {

/// Deletes with a function: libcurl's handle types are all void, so the function tells them apart.
template <auto Cleanup>
struct CurlCleanup {
  template <class T>
  void operator()(T* handle) const noexcept {
    Cleanup(handle);
  }
};

using EasyHandle = std::unique_ptr<CURL, CurlCleanup<curl_easy_cleanup>>;
using MultiHandle = std::unique_ptr<CURLM, CurlCleanup<curl_multi_cleanup>>;
using ShareHandle = std::unique_ptr<CURLSH, CurlCleanup<curl_share_cleanup>>;
using UrlHandle = std::unique_ptr<CURLU, CurlCleanup<curl_url_cleanup>>;
using CurlText = std::unique_ptr<char, CurlCleanup<curl_free>>;

/// A list of header lines.
class CurlList {
 public:
  void append(const char* line) {
    curl_slist* longer = curl_slist_append(list_.get(), line);
    if (longer == nullptr) throw std::bad_alloc();
    static_cast<void>(list_.release());
    list_.reset(longer);
  }
  curl_slist* get() const noexcept { return list_.get(); }

 private:
  std::unique_ptr<curl_slist, CurlCleanup<curl_slist_free_all>> list_;
};

/// A handle, or std::bad_alloc: libcurl's makers fail only for want of memory.
template <class Handle, class T>
Handle made(T* raw) {
  if (raw == nullptr) throw std::bad_alloc();
  return Handle(raw);
}

}  // namespace weir::net
