# frozen_string_literal: true

require_relative 'real'
require 'rbs'
require 'xlreg/test_helper'

# The signatures in sig: they resolve, say what there is and nothing else, and hold while tests run.
class TestSignatures < Minitest::Test
  include Real

  FOLDER = File.expand_path('..', __dir__)
  LIBRARIES = %w[openssl socket ipaddr pathname].freeze

  def environment
    @environment ||= begin
      loader = RBS::EnvironmentLoader.new
      LIBRARIES.each { |library| loader.add(library: library, version: nil) }
      loader.add(path: Pathname(File.join(FOLDER, 'sig')))
      RBS::Environment.from_loader(loader).resolve_type_names
    end
  end

  # Each module and class that is declared, with its own declarations.
  def declared
    environment.class_decls.select { |name, _| name.to_s.start_with?('::Xlreg') }.map do |name, entry|
      [Object.const_get(name.to_s), entry.decls.flat_map { |decl| decl.decl.members }]
    end
  end

  def test_they_resolve
    builder = RBS::DefinitionBuilder.new(env: environment)
    declared.each do |kind, _|
      name = TypeName("::#{kind.name}")
      builder.build_singleton(name)
      builder.build_instance(name)
    end
    refute_empty declared
  end

  # Yields each method that is declared: whose it is, its name and its overloads.
  def each_method
    declared.each do |kind, members|
      members.grep(RBS::AST::Members::MethodDefinition).each do |member|
        next yield kind.instance_method(:initialize), member if member.name == :initialize && kind.is_a?(Class)

        yield member.kind == :singleton ? kind.method(member.name) : kind.instance_method(member.name), member
      end
    end
  end

  # A method that is declared is there, and takes the keywords that it is said to.
  def test_what_is_declared_is_there
    count = 0
    each_method do |method, member|
      count += 1
      said = member.types.flat_map { |type| keywords(type.type) }.uniq
      assert_empty said - taken(method, :key, :keyreq), "#{method.owner}##{method.name}" unless open?(method)
      assert_empty taken(method, :keyreq) - said, "#{method.owner}##{method.name}"
    end
    assert_operator count, :>, 150
  end

  def test_the_attributes
    declared.each do |kind, members|
      members.grep(RBS::AST::Members::Attribute).each { |member| assert kind.method_defined?(member.name), member.name }
    end
  end

  def keywords(type) = [*type.required_keywords.keys, *type.optional_keywords.keys]

  def taken(method, *kinds) = method.parameters.filter_map { |kind, name| name if kinds.include?(kind) }

  def open?(method) = method.owner == Struct || method.parameters.any? { |kind, _| kind == :keyrest }

  # The public methods of what is declared, by the comments of the source, are declared.
  def test_what_is_there_is_declared
    declared.each do |kind, members|
      said = members.filter_map { |member| member.name if member.respond_to?(:name) }
      own = kind.public_instance_methods(false).map { |name| kind.instance_method(name) }
      own += kind.singleton_methods(false).map { |name| kind.method(name) }
      missing = own.select { |method| documented?(method) }.map(&:name) - said
      assert_empty missing - %i[eql? inspect to_s hash == pretty_print], kind.name
    end
  end

  # Whether a method of the source has a comment that does not say it is private.
  def documented?(method)
    path, line = method.source_location
    return false unless path&.start_with?(FOLDER)

    comment = File.readlines(path)[0...(line - 1)].reverse.take_while { |text| /^\s*(#|private)/.match?(text) }
    comment.any? && comment.none? { |text| /@api private|@!attribute/.match?(text) }
  end

  def test_the_constants
    declared_names = environment.constant_decls.keys.map(&:to_s).grep(/\A::Xlreg/)
    refute_empty declared_names
    declared_names.each { |name| refute_nil Object.const_get(name) }
  end

  # Each call of a method whose class is declared is held against its signature.
  def test_they_hold_while_tests_run
    libraries = LIBRARIES.map { |library| "-r #{library}" }.join(' ')
    checks = { 'RBS_TEST_TARGET' => 'Xlreg,Xlreg::*', 'RBS_TEST_RAISE' => 'true', 'RBS_TEST_LOGLEVEL' => 'error',
               'RBS_TEST_OPT' => "-I #{File.join(FOLDER, 'sig')} #{libraries}" }
    %w[test_vocabulary test_node].each do |test|
      out, status = Open3.capture2e(checks, Gem.ruby, '-rrbs/test/setup', '-I', File.join(FOLDER, 'lib'), '-I', __dir__,
                                    File.join(__dir__, "#{test}.rb"))
      assert_predicate status, :success?, out
      assert_match(/ 0 failures, 0 errors/, out)
    end
  end
end
