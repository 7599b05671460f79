# frozen_string_literal: true

require_relative 'real'

# Nodes, in memory and in directories.
class TestNode < Minitest::Test
  include Real

  REGISTRATION = { sig: "SHA256:#{'A' * 43}", name: 'xlReg', endpoints: ['a.example:1'],
                   id: Xlreg::NodeID.new('i' * 20) }.freeze
  V19 = Xlreg::Protocol::V19
  V20 = Xlreg::Protocol::V20

  def keys = Xlreg::TestHelper.keys(0)

  def with_directory
    Dir.mktmpdir { |folder| yield File.join(folder, 'n0') }
  end

  def make(path, **more, &)
    Xlreg::Node.init(path, name: 'm0', endpoints: ['127.0.0.1:7001'], **{ keys: keys }.merge(more), &)
  end

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

  def test_what_is_damaged_names_file_and_remedy
    damage = {
      'node.json' => ['{', '[]', '{}', '{"version":2}', '{"version":0}', '{"version":1,"name":"a b"}',
                      '{"version":1,"name":"m","attrs":8}', '{"version":1,"name":"m","endpoints":[1]}',
                      '{"version":1,"name":"m","registries":[{"sig":"x"}]}'],
      'sig.pem' => ['', 'no key', keys.sig.private_to_pem(OpenSSL::Cipher.new('aes-128-cbc'), 'p')],
      'cert.pem' => ['', "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", other_certificate]
    }
    damage.each do |file, contents|
      contents.each { |content| refuse_damaged(file, content) }
    end
  end

  def other_certificate
    der = Xlreg::Node.new(name: 'm0', keys: Xlreg::TestHelper.keys(1)).certificate
    OpenSSL::X509::Certificate.new(der).to_pem
  end

  def refuse_damaged(file, content)
    with_directory do |path|
      make(path).close
      File.write(File.join(path, file), content)
      error = assert_raises(Xlreg::NodeError, content) { Xlreg::Node.open(path) }
      assert_includes error.message, file
      assert_raises(Xlreg::NodeError) { Xlreg::Node.load(path) }
    end
  end

  def test_what_is_too_open_or_missing
    with_directory do |path|
      assert_raises(Xlreg::NoNodeError) { Xlreg::Node.open(path) }
      make(path).close
      File.chmod(0o640, File.join(path, 'comms.pem'))
      assert_match(/chmod 600/, assert_raises(Xlreg::NodeError) { Xlreg::Node.open(path) }.message)
      File.delete(File.join(path, 'comms.pem'))
      assert_match(/put the key there/, assert_raises(Xlreg::NodeError) { Xlreg::Node.open(path) }.message)
      File.chmod(0o770, path)
      assert_match(/chmod 700/, assert_raises(Xlreg::NodeError) { Xlreg::Node.open(path) }.message)
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
      assert_raises(Xlreg::NodeError) { make(path, keys: nil, bits: 3072) }
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
    Xlreg::Certificate.check(der, token)
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
end
