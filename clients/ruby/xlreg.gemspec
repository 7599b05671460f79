# frozen_string_literal: true

require_relative 'lib/xlreg/version'

Gem::Specification.new do |spec|
  spec.name = 'xlreg'
  spec.version = Xlreg::VERSION
  spec.authors = ['the xlreg authors']
  spec.summary = 'Client of the xlreg cluster registry'
  spec.description = 'Makes n processes a cluster in which all know each other: their addresses, their keys, ' \
                     'and mutual TLS between them.'
  spec.homepage = 'https://github.com/xlattice/xlreg'
  spec.license = 'MIT'
  spec.required_ruby_version = '>= 3.1'
  spec.files = Dir.chdir(__dir__) { Dir['lib/**/*.rb', 'exe/*', 'sig/**/*.rbs', 'README.md', 'LICENSE'] }
  spec.bindir = 'exe'
  spec.executables = ['xlreg-rb']
  spec.add_runtime_dependency 'google-protobuf', '>= 3.21', '< 5'
  spec.metadata = {
    'source_code_uri' => "#{spec.homepage}/tree/main/clients/ruby",
    'documentation_uri' => "#{spec.homepage}/blob/main/clients/ruby/README.md",
    'changelog_uri' => "#{spec.homepage}/blob/main/CHANGELOG.md",
    'bug_tracker_uri' => "#{spec.homepage}/issues",
    'rubygems_mfa_required' => 'true'
  }
end
