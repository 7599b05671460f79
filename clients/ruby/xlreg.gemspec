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
  spec.files = Dir.chdir(__dir__) { Dir['lib/**/*.rb', 'exe/*', 'README.md'] }
  spec.bindir = 'exe'
  spec.executables = ['xlreg-rb']
  spec.add_runtime_dependency 'google-protobuf', '>= 3.21', '< 5'
  spec.metadata['rubygems_mfa_required'] = 'true'
end
