# frozen_string_literal: true

require_relative 'nodes'

# Nodes, in memory and in directories.
class TestNode < Minitest::Test
  include Nodes

  def test_a_node_is_kept
    with_directory do |path|
      der = make(path) do |node|
        node.update_registration(Xlreg::Registration.new(**REGISTRATION))
        node.certificate
      end
      assert_equal(%w[cert.pem comms.pem lock node.json sig.pem], Dir.children(path).sort)
      assert_equal [0o700, 0o600], [File.stat(path).mode & 0o777, File.stat(File.join(path, 'sig.pem')).mode & 0o777]
      Xlreg::Node.open(path) do |node|
        assert_equal ['m0', ['127.0.0.1:7001'], der], [node.name, node.endpoints.map(&:to_s), node.certificate]
        assert_equal REGISTRATION[:id], node.registration(REGISTRATION[:sig]).id
        assert_equal keys.sig_key, node.keys.sig_key
      end
    end
  end

  def test_the_lock
    with_directory do |path|
      make(path) do
        assert_raises(Xlreg::NodeInUseError) { Xlreg::Node.open(path) }
        loaded = Xlreg::Node.load(path)
        assert_raises(Xlreg::NodeReadOnlyError) { loaded.update_endpoints(['b:1']) }
        assert_equal ['127.0.0.1:7001'], loaded.endpoints.map(&:to_s)
      end
      assert_raises(Xlreg::NodeExistsError) { make(path) }
      node = Xlreg::Node.ensure(path, name: 'other')
      2.times { node.close }
      assert_raises(Xlreg::NodeReadOnlyError) { node.update_endpoints(['b:1']) }
      assert_equal 'm0', node.name
    end
  end

  def test_what_others_wrote_is_kept
    with_directory do |path|
      make(path).close
      file = File.join(path, 'node.json')
      File.write(file, JSON.pretty_generate(JSON.parse(File.read(file)).merge('mine' => [1, { 'a' => nil }])))
      Xlreg::Node.open(path) { |node| node.update_registration(Xlreg::Registration.new(**REGISTRATION)) }
      assert_equal [1, { 'a' => nil }], JSON.parse(File.read(file))['mine']
    end
  end

  def test_keys_that_are_there_are_used
    with_directory do |path|
      Dir.mkdir(path, 0o700)
      File.write(File.join(path, 'sig.pem'), keys.sig.to_pem, perm: 0o600) # PKCS #1
      other = Xlreg::TestHelper.keys(1)
      assert_raises(Xlreg::NodeError) { make(path, keys: other) }
      assert_raises(Xlreg::NodeError) { make(path, keys: nil, key: 'rsa3072') }
      make(path) { |node| assert_equal keys.sig_key, node.keys.sig_key }
    end
  end

  def test_keys_of_open_ssh
    with_directory do |path|
      Dir.mkdir(path)
      file = File.join(path, 'id')
      assert system('ssh-keygen', '-q', '-t', 'rsa', '-b', '2048', '-N', '', '-f', file)
      key = Xlreg::PrivateKey.parse(File.read(file))
      printed, = Open3.capture2('ssh-keygen', '-lf', "#{file}.pub")
      assert_equal printed.split[1], Xlreg::PublicKey.fingerprint(Xlreg::PublicKey.der(key))
      assert key.public_key.verify('SHA256', key.sign('SHA256', 'x'), 'x')
      assert system('ssh-keygen', '-q', '-p', '-P', '', '-N', 'secret', '-f', file, out: File::NULL)
      error = assert_raises(Xlreg::PrivateKeyError) { Xlreg::PrivateKey.parse(File.read(file)) }
      assert_match(/encrypted/, error.message)
    end
  end

  def test_tokens_are_signed_once_and_hold
    node = node(0, endpoints: ['127.0.0.1:7001', 'a.example:1', '[::1]:2'])
    token, der = node.token(protocol: V20)
    Xlreg::Signatures.verify_token(token, der)
    Xlreg::Certificate.check(token, der)
    Xlreg::Signatures.verify_comms(token)
    assert_equal token.digsig2, node.token(protocol: V20)[0].digsig2
    classic, none = node.token(protocol: V19)
    Xlreg::Signatures.verify_classic(classic)
    assert_nil none
    node.update_endpoints(['127.0.0.1:9'])
    changed, renewed = node.token(protocol: V20)
    refute_equal der, renewed
    Xlreg::Signatures.verify_token(changed, renewed)
  end

  def test_a_certificate_is_renewed_in_its_last_third
    now = Time.now
    node = node(0, certificate_life: 3 * 3600)
    first = node.certificate(now: now)
    assert_equal first, node.certificate(now: now + 3500)
    refute_equal first, node.certificate(now: now + 3601)
  end

  def test_openssl_takes_the_certificate_for_an_anchor_of_itself
    certificate = OpenSSL::X509::Certificate.new(node(0, endpoints: ['127.0.0.1:1', 'a.example:1']).certificate)
    store = OpenSSL::X509::Store.new
    store.add_cert(certificate)
    assert store.verify(certificate)
    assert OpenSSL::SSL.verify_certificate_identity(certificate, 'a.example')
    assert OpenSSL::SSL.verify_certificate_identity(certificate, '127.0.0.1')
  end

  # The Go program reads and writes the directories that this gem makes, and the other way round.
  def test_go_shares_the_directory
    with_directory do |path|
      make(path).close
      with_registry do |registry|
        out, err, code = run_go('join', 'web', '--create', '--size', '2', '--registry', registry.url, '--node', path,
                                '-o', 'json')
        assert_equal [0, ''], [code, err]
        Xlreg::Node.open(path) do |node|
          id = JSON.parse(out)['members'][0]['id']
          assert_equal id, node.registration(registry.cred.fingerprint).id.to_s
          assert_equal(id, Xlreg::Client.open(registry.url, node: node, &:login).to_s)
          node.update_endpoints(['127.0.0.1:7009'])
        end
        shown, = run_go('node', 'show', path)
        assert_includes shown, '127.0.0.1:7009'
      end
    end
  end

  def test_ruby_reads_what_go_writes
    with_directory do |path|
      out, err, code = run_go('node', 'init', path, '--name', 'n0', '--endpoint', '127.0.0.1:7001,[::1]:7002', '-o',
                              'json')
      assert_equal [0, ''], [code, err]
      Xlreg::Node.open(path) do |node|
        assert_equal ['n0', JSON.parse(out)['sig']], [node.name, node.keys.fingerprint]
        assert_equal %w[127.0.0.1:7001 [::1]:7002], node.endpoints.map(&:to_s)
        before = File.binread(File.join(path, 'cert.pem'))
        der = node.certificate # Go's serves
        assert_equal before, File.binread(File.join(path, 'cert.pem'))
        Xlreg::Certificate.check(node.token(protocol: V20)[0], der)
      end
    end
  end

  def test_the_lock_holds_among_programs
    with_directory do |path|
      make(path) do
        out, err, code = run_go('create', 'x', '--size', '2', '--node', path, '--registry',
                                "xlreg://a:1/?sig=#{'A' * 43}")
        assert_equal [1, ''], [code, out]
        assert_match(/in use by another process/, err)
      end
    end
  end

  def test_the_lock_goes_with_its_process
    with_directory do |path|
      make(path).close
      lib = File.expand_path('../lib', __dir__)
      script = 'require "xlreg"; Xlreg::Node.open(ARGV[0]); exit!(0)'
      assert system(Gem.ruby, '-I', lib, '-e', script, path)
      Xlreg::Node.open(path).close
    end
  end

  def test_a_certificate_that_went_away_is_made_anew
    with_directory do |path|
      first = make(path, &:certificate)
      File.delete(File.join(path, 'cert.pem'))
      Xlreg::Node.open(path) { |node| refute_equal first, node.certificate }
      assert_path_exists File.join(path, 'cert.pem')
    end
  end

  def test_a_certificate_goes_with_the_hosts
    node = node(0, endpoints: ['127.0.0.1:7001'])
    first = node.certificate
    node.update_endpoints(['127.0.0.1:8000'])
    assert_equal first, node.certificate # the host is the same
    node.update_endpoints(['example.org:8000'])
    refute_equal first, node.certificate
  end

  def test_arguments_that_make_no_sense
    [-> { Xlreg::Node.new(name: 'a b') }, -> { Xlreg::Node.new(name: 'm0', endpoints: ['nowhere']) },
     -> { Xlreg::Node.new(name: 'm0', endpoints: ['a:1'] * 17) }, -> { Xlreg::Node.new(name: 'm0', attrs: 8) },
     -> { Xlreg::Registration.new(sig: 'nonsense', id: REGISTRATION[:id]) },
     -> { Xlreg::Registration.new(**REGISTRATION, name: 'a b') }].each { |make| assert_raises(Xlreg::Error, &make) }
    assert_raises(ArgumentError) { Xlreg::Node.new(name: 'm0', keys: keys, certificate_life: 60) }
    assert_raises(ArgumentError) { Xlreg::Keys.generate('rsa1024') }
  end

  # Threads that change a node at once leave it as the last of them wanted.
  def test_a_node_of_many_threads
    with_directory do |path|
      make(path) do |node|
        threads = Array.new(8) do |i|
          Thread.new { node.update_registration(Xlreg::Registration.new(**REGISTRATION, sig: sig(i))) }
        end
        threads.each(&:join)
      end
      assert_equal Array.new(8) { |i| sig(i) }.sort, Xlreg::Node.load(path).registrations.map(&:sig).sort
    end
  end

  def sig(number) = "SHA256:#{'A' * 41}#{'ABCDEFGH'[number]}A"

  # The same folder on several machines is several nodes, with names that tell them apart.
  def test_a_node_without_a_name_has_that_of_its_machine_and_key
    { '3f2a9c1b77de' => 'h-3f2a9c1b77de', 'web-1.example.org' => 'web-1', 'Big_Host' => 'Big_Host', 'localhost' => nil,
      'Localhost' => nil, '' => nil, '--' => nil, 'büro' => 'b-ro' }.each do |host, alone|
      assert_equal alone, Xlreg::Naming.new_name(keys, only_here: true, host: host), host if alone
      with_digits = Xlreg::Naming.new_name(keys, host: host)
      assert_match(/-\h{6}\z/, with_digits)
      refute_equal with_digits, Xlreg::Naming.new_name(Xlreg::TestHelper.keys(1), host: host)
      assert_match(/-\h{6}\z/, Xlreg::Naming.new_name(keys, only_here: true, host: host)) unless alone
      assert_equal with_digits, Xlreg::Name.check(with_digits)
    end
    Dir.mktmpdir do |folder|
      names = Array.new(2) { |i| Xlreg::Node.ensure(File.join(folder, i.to_s, 'etcd-node'), &:name) }
      assert_equal 2, names.uniq.size
      names.each { |name| assert_match(/-\h{6}\z/, name) }
    end
  end
end
